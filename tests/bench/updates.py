"""Knowledge updates: what was said first, what replaced it, and a question.

The current version must be found, and the old one not at all: no ranking would do that by itself.
"""

import msgspec

from tests.bench.running import Caller, Failed

_LIMIT = 100
"""Memories asked for: enough to show every old version that is still held to be current."""


class Update(msgspec.Struct, frozen=True):
    """A fact, what it became, the slot of both, and a question about it."""

    old: str
    new: str
    subject: str
    attribute: str
    question: str


UPDATES = [
    Update(f"{who} {old}", f"{who} {new}", who.lower(), attribute, question.format(who))
    for who, people in (
        (
            "Alva",
            [
                ("lives in Lund", "lives in Porto", "city", "Which city is {} living in?"),
                ("works at Siemens", "works at Bosch", "employer", "Who employs {} these days?"),
                ("drives a Volvo", "drives a Tesla", "car", "What car does {} drive?"),
                ("plays the cello", "plays the oboe", "instrument", "Which instrument is {} playing?"),
                ("weighs 71 kg", "weighs 68 kg", "weight", "How much does {} weigh?"),
                ("is vegetarian", "is vegan", "diet", "What kind of diet does {} follow?"),
            ],
        ),
        (
            "Bela",
            [
                ("rents a flat in Graz", "rents a house in Linz", "home", "Where does {} rent?"),
                ("is engaged to Carl", "is married to Carl", "status", "What is {} to Carl?"),
                ("studies law", "studies medicine", "subject", "Which subject does {} study?"),
                ("runs 20 km a week", "runs 35 km a week", "running", "How far does {} run every week?"),
                ("prefers tea", "prefers coffee", "drink", "Does {} like tea or coffee better?"),
                ("has two cats", "has three cats", "cats", "How many cats are at {}'s?"),
            ],
        ),
        (
            "Chioma",
            [
                ("uses an Android phone", "uses an iPhone", "phone", "What phone has {} got?"),
                ("reports to Dana", "reports to Emil", "manager", "Who is the boss of {}?"),
                ("earns 4,200 a month", "earns 4,900 a month", "salary", "What is {} paid?"),
                ("wakes up at 6:30", "wakes up at 5:45", "morning", "When does {} get up?"),
                ("speaks three languages", "speaks four languages", "languages", "How many languages can {} speak?"),
                ("owns a sailing boat", "owns a motor boat", "boat", "What boat does {} own?"),
            ],
        ),
        (
            "Deniz",
            [
                ("leads team Falcon", "leads team Osprey", "team", "Which team is led by {}?"),
                ("sits in room 214", "sits in room 330", "room", "In which room is {}?"),
                ("is allergic to nuts", "is allergic to nuts and milk", "allergy", "What must {} not eat?"),
                ("votes in district 5", "votes in district 9", "district", "Where does {} vote?"),
                ("wears glasses", "wears contact lenses", "sight", "How does {} see well?"),
                ("keeps bees", "keeps hens", "animals", "Which animals does {} keep?"),
            ],
        ),
    )
    for old, new, attribute, question in people
] + [
    Update(old, new, subject, attribute, question)
    for old, new, subject, attribute, question in (
        ("The rate limit is 50 requests", "The rate limit is 60 requests", "api", "limit", "What is the rate limit?"),
        ("Support closes at 17:00", "Support closes at 19:00", "support", "hours", "Until when is support open?"),
        (
            "The project deadline is 3 May",
            "The project deadline is 24 May",
            "project",
            "deadline",
            "When is the project due?",
        ),
        (
            "The database runs on Postgres 15",
            "The database runs on Postgres 18",
            "database",
            "version",
            "Which Postgres runs the database?",
        ),
        ("Acme is on the starter plan", "Acme is on the pro plan", "acme", "plan", "Which plan has Acme bought?"),
        (
            "The office Wi-Fi is called Elm",
            "The office Wi-Fi is called Oak",
            "office",
            "wifi",
            "What is the name of the Wi-Fi?",
        ),
        (
            "The invoice total is 1,280 euros",
            "The invoice total is 1,460 euros",
            "invoice",
            "total",
            "How high is the invoice?",
        ),
        (
            "The train leaves from platform 4",
            "The train leaves from platform 11",
            "train",
            "platform",
            "Which platform does the train leave from?",
        ),
        (
            "The release branch is r7",
            "The release branch is r8",
            "release",
            "branch",
            "What is the release branch called?",
        ),
        (
            "The museum ticket costs 12 euros",
            "The museum ticket costs 15 euros",
            "museum",
            "ticket",
            "What does the museum cost?",
        ),
        ("The garden shed is green", "The garden shed is blue", "shed", "colour", "What colour is the shed?"),
        ("Our supplier is Kramer", "Our supplier is Novak", "us", "supplier", "Who supplies us?"),
        (
            "The meeting takes place on Monday",
            "The meeting takes place on Thursday",
            "meeting",
            "day",
            "On which day do we meet?",
        ),
        (
            "The backup key is held by Ines",
            "The backup key is held by Jonas",
            "backup",
            "key",
            "Who holds the backup key?",
        ),
        (
            "The printer needs cartridge 305",
            "The printer needs cartridge 912",
            "printer",
            "cartridge",
            "Which cartridge does the printer take?",
        ),
    )
]


def by_slot(caller: Caller, tenant: str) -> int:
    """In how many cases the current version is first, where subject and attribute are given."""
    for update in UPDATES:
        for text in (update.old, update.new):
            _add(caller, tenant, text, subject=update.subject, attribute=update.attribute)
    return _right(caller, tenant)


def by_verb(caller: Caller, tenant: str) -> int:
    """… where the caller supersedes the old memory by the new one."""
    for update in UPDATES:
        old, new = (_add(caller, tenant, text)["memory_id"] for text in (update.old, update.new))
        caller.post(f"/memories/{old}/supersede", superseded_by=new)
    return _right(caller, tenant)


def by_itself(caller: Caller, tenant: str) -> int:
    """… where only `auto_supersede` is asked for, without slots and without a model."""
    for update in UPDATES:
        for text in (update.old, update.new):
            _add(caller, tenant, text, auto_supersede=True)
    return _right(caller, tenant)


def _add(caller: Caller, tenant: str, text: str, **fields: object) -> dict[str, str]:
    return caller.post("/agent/memories", content=text, tenant_id=tenant, **fields)


def _right(caller: Caller, tenant: str) -> int:
    """Questions for which the new text is found, and the old one is not."""
    right = 0
    for update in UPDATES:
        found = caller.post("/agent/search", query=update.question, tenant_id=tenant, limit=_LIMIT)["memories"]
        texts = [memory["decision"] for memory in found]
        if len(texts) < len(UPDATES):
            raise Failed(f"a search for {_LIMIT} found {len(texts)}")
        right += update.new in texts and update.old not in texts
    return right
