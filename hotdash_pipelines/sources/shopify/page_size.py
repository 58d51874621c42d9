"""How many records to ask Shopify for at once.

Belongs here: the size and what it learns from a page's cost. Does not belong here: asking (client.py, paging.py).
"""

from dataclasses import dataclass

FIRST_PAGE, LARGEST_PAGE = 50, 250
BUCKET_SHARE = 0.4


@dataclass
class PageSize:
    """How many records to ask for: starts at 50, follows the cost that was reported, at most 250.

    One page should cost about 40 % of the bucket, so that the next one need not wait for the refill.
    """

    size: int = FIRST_PAGE
    ceiling: int = LARGEST_PAGE

    def learn(self, asked: int, requested_cost: float | None, bucket: float | None) -> None:
        """Fit the next page to what this one cost."""
        if requested_cost and bucket:
            fitting = int(asked * BUCKET_SHARE * bucket / requested_cost)
            self.size = max(1, min(fitting, self.ceiling))

    def halve(self) -> bool:
        """Ask for half as much from now on; False when one record is asked for already."""
        if self.size <= 1:
            return False
        self.size = self.ceiling = self.size // 2
        return True
