"""A crawler with a budget of two pages a run. It remembers where it was.

usage: python crawler.py <session>
"""

import sys

from memtrace_client import Memtrace

SHOP = {
    "/": "Welcome to the shop",
    "/lamps": "3 lamps, from 19 EUR",
    "/chairs": "5 chairs, from 49 EUR",
    "/jobs": None,
}
BUDGET = 2


def fetch(page: str) -> str:
    text = SHOP[page]
    if text is None:
        raise ConnectionError(f"{page} does not answer")
    return text


def main(session_id: str) -> None:
    with Memtrace() as client:
        session = client.session(session_id, agent_id="crawler")
        before = session.context(since="all", max_tokens=1_000)
        print("I remember:" if before.memory_count else "I remember nothing yet.")
        print(before.context)

        visited = session.memories(memory_type="episodic")
        seen = {memory.metadata["page"] for memory in visited}
        for page in [page for page in SHOP if page not in seen][:BUDGET]:
            try:
                text = fetch(page)
            except ConnectionError as error:
                session.log_error(error, metadata={"page": page})
                print(f"failed:  {page}")
            else:
                session.remember(
                    f"{page}: {text}", event_type="page_crawled", metadata={"page": page}
                )
                print(f"crawled: {page}")
        left = sum(page not in seen for page in SHOP) - BUDGET
        session.decide(f"Stop with {left} pages left", f"the budget is {BUDGET} pages a run")


if __name__ == "__main__":
    main(sys.argv[1])
