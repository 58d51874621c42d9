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
    Contact,
    Conversation,
    Inbox,
    Label,
    Message,
)

ACCOUNT_NAME = "HotDash Demo Store"
_SITE = "https://hotdash-demo.example"


def epoch(at: float | None) -> int:
    """Whole seconds; 0 for None, as the server's views do."""
    return 0 if at is None else int(at)


def iso(at: float | None) -> str | None:
    """ISO 8601 in UTC with milliseconds, or None."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def contact(one: Contact, *, with_inboxes: dict[int, Inbox] | None = None) -> dict[str, Any]:
    """A contact as in the contact list and as the sender of a conversation."""
    shown: dict[str, Any] = {
        "additional_attributes": _contact_attributes(one),
        "availability_status": "offline",
        "email": one.email,
        "id": one.id,
        "name": one.name,
        "phone_number": one.phone,
        "blocked": False,
        "identifier": one.identifier,
        "thumbnail": "",
        "custom_attributes": _custom_attributes(one),
    }
    if one.last_activity_at:
        shown["last_activity_at"] = int(one.last_activity_at)
    shown["created_at"] = int(one.created_at)
    if with_inboxes is not None:
        shown["contact_inboxes"] = [
            {"source_id": source_id, "inbox": inbox(with_inboxes[inbox_id])}
            for inbox_id, source_id in sorted(one.source_ids.items())
        ]
    return shown


def agent(one: Agent) -> dict[str, Any]:
    """A user as in the agent list and as an assignee."""
    return {
        "id": one.id,
        "account_id": ACCOUNT_ID,
        "availability_status": one.availability,
        "auto_offline": True,
        "confirmed": True,
        "email": one.email,
        "provider": "email",
        "available_name": one.display_name,
        "name": one.name,
        "role": one.role,
        "thumbnail": "",
        "custom_role_id": None,
    }


def profile(one: Agent, token: str) -> dict[str, Any]:
    """The token's own user."""
    return {
        "access_token": token,
        "account_id": ACCOUNT_ID,
        "available_name": one.display_name,
        "avatar_url": "",
        "confirmed": True,
        "display_name": one.display_name,
        "message_signature": None,
        "email": one.email,
        "id": one.id,
        "inviter_id": None,
        "name": one.name,
        "provider": "email",
        "pubsub_token": f"pubsub-{one.id}",
        "role": one.role,
        "ui_settings": {},
        "uid": one.email,
        "type": None,
        "accounts": [
            {
                "id": ACCOUNT_ID,
                "name": ACCOUNT_NAME,
                "status": "active",
                "active_at": None,
                "role": one.role,
                "permissions": [one.role],
                "availability": one.availability,
                "availability_status": one.availability,
                "auto_offline": True,
            }
        ],
    }


def inbox(one: Inbox) -> dict[str, Any]:
    """An inbox; fields of its kind of channel come last."""
    shown: dict[str, Any] = {
        "id": one.id,
        "avatar_url": "",
        "channel_id": one.channel_id,
        "name": one.name,
        "channel_type": one.channel_type,
        "greeting_enabled": one.channel_type == "Channel::WebWidget",
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
    if one.channel_type == "Channel::WebWidget":
        shown |= {
            "widget_color": "#1F93FF",
            "website_url": _SITE,
            "welcome_title": "Hi there!",
            "welcome_tagline": "Ask us anything.",
            "website_token": f"widget-{one.id}",
            "reply_time": "in_a_few_minutes",
            "pre_chat_form_enabled": False,
            "continuity_via_email": True,
        }
    elif one.channel_type == "Channel::Email":
        shown |= {"forward_to_email": "in@mail.example.com", "email": "support@hotdash-demo.example"}
    else:
        shown |= {"webhook_url": None, "inbox_identifier": f"api-{one.id}", "additional_attributes": {}}
    return shown


def label(one: Label) -> dict[str, Any]:
    """A label."""
    return {
        "id": one.id,
        "title": one.title,
        "description": one.description,
        "color": one.color,
        "show_on_sidebar": True,
    }


def message(one: Message, conversation: Conversation) -> dict[str, Any]:
    """A message as in a message list: `message_type` is an integer, `conversation_id` the account's number."""
    shown: dict[str, Any] = {
        "id": one.id,
        "content": one.content,
        "inbox_id": conversation.inbox.id,
        "conversation_id": conversation.display_id,
        "message_type": one.kind,
        "content_type": one.content_type,
        "status": "sent",
        "content_attributes": one.content_attributes,
        "created_at": int(one.at),
        "private": one.private,
        "source_id": one.source_id,
    }
    if one.sender is not None:
        shown["sender"] = _sender(one.sender)
    if one.has_photo and one.content != DELETED_TEXT:
        shown["attachments"] = [_photo(one)]
    return shown


def conversation(one: Conversation) -> dict[str, Any]:
    """A conversation as in a list; only its last message is inside."""
    meta: dict[str, Any] = {"sender": contact(one.contact), "channel": one.inbox.channel_type}
    if one.assignee is not None:
        meta["assignee"] = agent(one.assignee)
    meta["hmac_verified"] = one.contact.identifier is not None
    last = one.messages[-1]
    spoken = next((m for m in reversed(one.messages) if m.kind != ACTIVITY), None)
    return {
        "meta": meta,
        "id": one.display_id,
        "messages": [_embedded(last, one)],
        "account_id": ACCOUNT_ID,
        "uuid": one.uuid,
        "additional_attributes": one.additional_attributes,
        "agent_last_seen_at": epoch(one.agent_last_seen_at),
        "assignee_last_seen_at": epoch(one.assignee_last_seen_at),
        "can_reply": True,
        "contact_last_seen_at": epoch(one.contact_last_seen_at),
        "custom_attributes": one.custom_attributes,
        "inbox_id": one.inbox.id,
        "labels": list(one.labels),
        "muted": False,
        "snoozed_until": iso(one.snoozed_until),
        "status": one.status,
        "created_at": epoch(one.created_at),
        "updated_at": one.updated_at,
        "timestamp": epoch(one.last_activity_at),
        "first_reply_created_at": epoch(one.first_reply_created_at),
        "unread_count": one.unread_count,
        "last_non_activity_message": _embedded(spoken, one) if spoken is not None else None,
        "last_activity_at": epoch(one.last_activity_at),
        "priority": one.priority,
        "waiting_since": epoch(one.waiting_since),
        "sla_policy_id": None,
    }


def messages_meta(one: Conversation) -> dict[str, Any]:
    """The `meta` beside a message list; unlike a conversation's own fields, it shows ISO text and nulls."""
    meta: dict[str, Any] = {
        "labels": list(one.labels),
        "additional_attributes": one.additional_attributes,
        "contact": _sender(one.contact),
    }
    if one.assignee is not None:
        meta["assignee"] = _sender(one.assignee)
    meta["agent_last_seen_at"] = iso(one.agent_last_seen_at)
    meta["assignee_last_seen_at"] = iso(one.assignee_last_seen_at)
    return meta


def _embedded(one: Message, within: Conversation) -> dict[str, Any]:
    """A message as embedded in a conversation: every column of its row, and a piece of the conversation."""
    shown = message(one, within)
    sender = one.sender
    shown |= {
        "account_id": ACCOUNT_ID,
        "updated_at": iso(one.at),
        "sender_type": None if sender is None else ("Contact" if isinstance(sender, Contact) else "User"),
        "sender_id": None if sender is None else sender.id,
        "external_source_ids": {},
        "additional_attributes": {},
        "processed_message_content": one.content,
        "sentiment": {},
        "conversation": {
            "assignee_id": within.assignee.id if within.assignee is not None else None,
            "unread_count": within.unread_count,
            "last_activity_at": epoch(within.last_activity_at),
            "contact_inbox": {"source_id": within.contact.source_ids[within.inbox.id]},
        },
    }
    return shown


def _sender(one: Contact | Agent) -> dict[str, Any]:
    if isinstance(one, Agent):
        return {
            "id": one.id,
            "name": one.name,
            "available_name": one.display_name,
            "avatar_url": "",
            "type": "user",
            "availability_status": one.availability,
            "thumbnail": "",
        }
    return {
        "additional_attributes": _contact_attributes(one),
        "custom_attributes": _custom_attributes(one),
        "email": one.email,
        "id": one.id,
        "identifier": one.identifier,
        "name": one.name,
        "phone_number": one.phone,
        "thumbnail": "",
        "blocked": False,
        "type": "contact",
    }


def _contact_attributes(one: Contact) -> dict[str, Any]:
    return {"city": one.city, "country_code": one.country_code} if one.city else {}


def _custom_attributes(one: Contact) -> dict[str, Any]:
    if one.shopify_customer_id is None or one.identifier is None:
        return {}
    return {"shopify_customer_id": one.shopify_customer_id}


def _photo(one: Message) -> dict[str, Any]:
    url = f"{_SITE}/rails/active_storage/blobs/{one.id}/photo.jpg"
    return {
        "id": one.id % 1_000_000_007,
        "message_id": one.id,
        "file_type": "image",
        "account_id": ACCOUNT_ID,
        "extension": None,
        "data_url": url,
        "thumb_url": url,
        "file_size": 180_000 + one.id % 90_000,
        "width": 1200,
        "height": 1600,
    }
