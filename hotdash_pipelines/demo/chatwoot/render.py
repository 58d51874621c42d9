"""The shapes of Chatwoot's answers.

Belongs here: a contact, message, conversation, inbox, agent, label and profile as JSON-ready dictionaries, after the
published OpenAPI and the server's views. Does not belong here: which of them an answer holds.

Instants: epoch seconds as integers, **0 for a null** in a conversation's own fields, `updated_at` a float; ISO text
inside a message's `updated_at`, in `snoozed_until` and in the `meta` of a message list.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hotdash_pipelines.demo.world.support_model import (
    ACCOUNT_ID,
    ACTIVITY,
    DELETED_TEXT,
    Agent,
    Bot,
    Contact,
    Conversation,
    Inbox,
    Label,
    Message,
)

ACCOUNT_NAME = "HotDash Demo Store"
_CLASSES = {Contact: "Contact", Agent: "User", Bot: "AgentBot"}
_SITE = "https://hotdash-demo.example"


def epoch(at: float | None) -> int:
    """Whole seconds; 0 for None, as the server's views do."""
    return 0 if at is None else int(at)


def iso(at: float | None) -> str | None:
    """ISO 8601 in UTC with milliseconds, or None."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def contact(contact: Contact, *, with_inboxes: dict[int, Inbox] | None = None) -> dict[str, Any]:
    """A contact as in the contact list and as the sender of a conversation."""
    shown: dict[str, Any] = {
        "additional_attributes": _contact_attributes(contact),
        "availability_status": "offline",
        "email": contact.email,
        "id": contact.id,
        "name": contact.name,
        "phone_number": contact.phone,
        "blocked": False,
        "identifier": contact.identifier,
        "thumbnail": "",
        "custom_attributes": _custom_attributes(contact),
    }
    if contact.last_activity_at:
        shown["last_activity_at"] = int(contact.last_activity_at)
    shown["created_at"] = int(contact.created_at)
    if with_inboxes is not None:
        shown["contact_inboxes"] = [
            {"source_id": source_id, "inbox": inbox(with_inboxes[inbox_id])}
            for inbox_id, source_id in sorted(contact.source_ids.items())
        ]
    return shown


def agent(agent: Agent) -> dict[str, Any]:
    """A user as in the agent list and as an assignee."""
    return {
        "id": agent.id,
        "account_id": ACCOUNT_ID,
        "availability_status": agent.availability,
        "auto_offline": True,
        "confirmed": True,
        "email": agent.email,
        "provider": "email",
        "available_name": agent.display_name,
        "name": agent.name,
        "role": agent.role,
        "thumbnail": "",
        "custom_role_id": None,
    }


def profile(agent: Agent, token: str) -> dict[str, Any]:
    """The token's own user."""
    return {
        "access_token": token,
        "account_id": ACCOUNT_ID,
        "available_name": agent.display_name,
        "avatar_url": "",
        "confirmed": True,
        "display_name": agent.display_name,
        "message_signature": None,
        "email": agent.email,
        "id": agent.id,
        "inviter_id": None,
        "name": agent.name,
        "provider": "email",
        "pubsub_token": f"pubsub-{agent.id}",
        "role": agent.role,
        "ui_settings": {},
        "uid": agent.email,
        "type": None,
        "accounts": [
            {
                "id": ACCOUNT_ID,
                "name": ACCOUNT_NAME,
                "status": "active",
                "active_at": None,
                "role": agent.role,
                "permissions": [agent.role],
                "availability": agent.availability,
                "availability_status": agent.availability,
                "auto_offline": True,
            }
        ],
    }


def inbox(inbox: Inbox) -> dict[str, Any]:
    """An inbox; fields of its kind of channel come last."""
    shown: dict[str, Any] = {
        "id": inbox.id,
        "avatar_url": "",
        "channel_id": inbox.channel_id,
        "name": inbox.name,
        "channel_type": inbox.channel_type,
        "greeting_enabled": inbox.channel_type == "Channel::WebWidget",
        "greeting_message": None,
        "working_hours_enabled": False,
        "enable_email_collect": True,
        "csat_survey_enabled": False,
        "enable_auto_assignment": True,
        "auto_assignment_config": {},
        "out_of_office_message": None,
        "working_hours": [],
        "timezone": "America/New_York",
        "callback_webhook_url": None,
        "allow_messages_after_resolved": True,
        "lock_to_single_conversation": False,
        "sender_name_type": "friendly",
        "business_name": None,
        "provider": None,
    }
    if inbox.channel_type == "Channel::WebWidget":
        shown |= {
            "widget_color": "#1F93FF",
            "website_url": _SITE,
            "welcome_title": "Hi there!",
            "welcome_tagline": "Ask us anything.",
            "website_token": f"widget-{inbox.id}",
            "reply_time": "in_a_few_minutes",
            "pre_chat_form_enabled": False,
            "continuity_via_email": True,
        }
    elif inbox.channel_type == "Channel::Email":
        shown |= {"forward_to_email": "in@mail.example.com", "email": "support@hotdash-demo.example"}
    else:
        shown |= {"webhook_url": None, "inbox_identifier": f"api-{inbox.id}", "additional_attributes": {}}
    return shown


def label(label: Label) -> dict[str, Any]:
    """A label."""
    return {
        "id": label.id,
        "title": label.title,
        "description": label.description,
        "color": label.color,
        "show_on_sidebar": True,
    }


def message(message: Message, conversation: Conversation) -> dict[str, Any]:
    """A message as in a message list: `message_type` is an integer, `conversation_id` the account's number."""
    shown: dict[str, Any] = {
        "id": message.id,
        "content": message.content,
        "inbox_id": conversation.inbox.id,
        "conversation_id": conversation.display_id,
        "message_type": message.kind,
        "content_type": message.content_type,
        "status": "sent",
        "content_attributes": message.content_attributes,
        "created_at": int(message.at),
        "private": message.private,
        "source_id": message.source_id,
    }
    if message.sender is not None:
        shown["sender"] = _sender(message.sender)
    if message.has_photo and message.content != DELETED_TEXT:
        shown["attachments"] = [_photo(message)]
    return shown


def conversation(conversation: Conversation) -> dict[str, Any]:
    """A conversation as in a list; only its last message is inside."""
    meta: dict[str, Any] = {"sender": contact(conversation.contact), "channel": conversation.inbox.channel_type}
    if isinstance(conversation.assignee, Bot):
        meta |= {"assignee": _bot(conversation.assignee), "assignee_type": "AgentBot"}
    elif conversation.assignee is not None:
        meta |= {"assignee": agent(conversation.assignee), "assignee_type": "User"}
    meta["hmac_verified"] = conversation.contact.identifier is not None
    last = conversation.messages[-1]
    spoken = next((m for m in reversed(conversation.messages) if m.kind != ACTIVITY), None)
    return {
        "meta": meta,
        "id": conversation.display_id,
        "messages": [_embedded(last, conversation)],
        "account_id": ACCOUNT_ID,
        "uuid": conversation.uuid,
        "additional_attributes": conversation.additional_attributes,
        "agent_last_seen_at": epoch(conversation.agent_last_seen_at),
        "assignee_last_seen_at": epoch(conversation.assignee_last_seen_at),
        "can_reply": True,
        "contact_last_seen_at": epoch(conversation.contact_last_seen_at),
        "custom_attributes": conversation.custom_attributes,
        "inbox_id": conversation.inbox.id,
        "labels": list(conversation.labels),
        "muted": False,
        "snoozed_until": iso(conversation.snoozed_until),
        "status": conversation.status,
        "created_at": epoch(conversation.created_at),
        "updated_at": conversation.updated_at,
        "timestamp": epoch(conversation.last_activity_at),
        "first_reply_created_at": epoch(conversation.first_reply_created_at),
        "unread_count": conversation.unread_count,
        "last_non_activity_message": _embedded(spoken, conversation) if spoken is not None else None,
        "last_activity_at": epoch(conversation.last_activity_at),
        "priority": conversation.priority,
        "waiting_since": epoch(conversation.waiting_since),
        "sla_policy_id": None,
    }


def messages_meta(conversation: Conversation) -> dict[str, Any]:
    """The `meta` beside a message list; unlike a conversation's own fields, it shows ISO text and nulls."""
    meta: dict[str, Any] = {
        "labels": list(conversation.labels),
        "additional_attributes": conversation.additional_attributes,
        "contact": _sender(conversation.contact),
    }
    if isinstance(conversation.assignee, Agent):
        meta["assignee"] = _sender(conversation.assignee)
    meta["agent_last_seen_at"] = iso(conversation.agent_last_seen_at)
    meta["assignee_last_seen_at"] = iso(conversation.assignee_last_seen_at)
    return meta


def _embedded(inner: Message, within: Conversation) -> dict[str, Any]:
    """A message as embedded in a conversation: every column of its row, and a piece of the conversation."""
    shown = message(inner, within)
    sender = inner.sender
    shown |= {
        "account_id": ACCOUNT_ID,
        "updated_at": iso(inner.at),
        "sender_type": None if sender is None else _CLASSES[type(sender)],
        "sender_id": None if sender is None else sender.id,
        "external_source_ids": {},
        "additional_attributes": {},
        "processed_message_content": inner.content,
        "sentiment": {},
        "conversation": {
            "assignee_id": within.assignee.id if isinstance(within.assignee, Agent) else None,
            "unread_count": within.unread_count,
            "last_activity_at": epoch(within.last_activity_at),
            "contact_inbox": {"source_id": within.contact.source_ids[within.inbox.id]},
        },
    }
    return shown


def _bot(bot: Bot) -> dict[str, Any]:
    return {"id": bot.id, "name": bot.name, "avatar_url": "", "thumbnail": ""}


def _sender(person: Contact | Agent | Bot) -> dict[str, Any]:
    if isinstance(person, Bot):
        return {"id": person.id, "name": person.name, "avatar_url": "", "type": "agent_bot"}
    if isinstance(person, Agent):
        return {
            "id": person.id,
            "name": person.name,
            "available_name": person.display_name,
            "avatar_url": "",
            "type": "user",
            "availability_status": person.availability,
            "thumbnail": "",
        }
    return {
        "additional_attributes": _contact_attributes(person),
        "custom_attributes": _custom_attributes(person),
        "email": person.email,
        "id": person.id,
        "identifier": person.identifier,
        "name": person.name,
        "phone_number": person.phone,
        "thumbnail": "",
        "blocked": False,
        "type": "contact",
    }


def _contact_attributes(contact: Contact) -> dict[str, Any]:
    return {"city": contact.city, "country_code": contact.country_code} if contact.city else {}


def _custom_attributes(contact: Contact) -> dict[str, Any]:
    if contact.shopify_customer_id is None or contact.identifier is None:
        return contact.custom_attributes
    return {"shopify_customer_id": contact.shopify_customer_id, **contact.custom_attributes}


def _photo(message: Message) -> dict[str, Any]:
    url = f"{_SITE}/rails/active_storage/blobs/{message.id}/photo.jpg"
    return {
        "id": message.id % 1_000_000_007,
        "message_id": message.id,
        "file_type": "image",
        "account_id": ACCOUNT_ID,
        "extension": None,
        "data_url": url,
        "thumb_url": url,
        "file_size": 180_000 + message.id % 90_000,
        "width": 1200,
        "height": 1600,
    }
