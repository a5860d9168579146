"""Sentences with numbers, money, dates, times and names, every number written as words."""

import random
from collections.abc import Callable, Mapping

_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_IRREGULAR = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
              "twelve": "twelfth"}  # fmt: skip
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_THINGS = (
    "ticket", "bicycle", "kettle", "jacket", "lamp", "dictionary", "guitar", "pair of shoes", "television",
    "cup of coffee", "bottle of juice", "sandwich",
)  # fmt: skip
_UNITS = ("percent", "kilometres", "miles", "kilograms", "pounds", "litres", "degrees", "metres", "hours", "feet")
_MONEY = (("dollar", "cent"), ("pound", "penny"), ("euro", "cent"))
_FIRST = (
    "Adam", "Alice", "Andrew", "Angela", "Anthony", "Barbara", "Brian", "Carol", "Charles", "Charlotte", "Chloe",
    "Christopher", "Daniel", "Deborah", "Dennis", "Diana", "Dorothy", "Edward", "Elizabeth", "Emily", "Eric", "Eugene",
    "Florence", "George", "Gloria", "Harold", "Hannah", "Helen", "Isaac", "Jack", "James", "Janet", "Jeffrey",
    "Jennifer", "Jessica", "Joseph", "Joshua", "Joyce", "Judith", "Julian", "Karen", "Kenneth", "Laura", "Leonard",
    "Lucy", "Margaret", "Maria", "Martha", "Matthew", "Michelle", "Nancy", "Nathan", "Nicholas", "Olivia", "Oscar",
    "Patrick", "Paul", "Peter", "Philip", "Rachel", "Raymond", "Rebecca", "Richard", "Robert", "Rose", "Roy", "Ruth",
    "Samuel", "Sarah", "Sophie", "Stephen", "Susan", "Teresa", "Theodore", "Thomas", "Timothy", "Vera", "Victor",
    "Virginia", "Walter", "William", "Yvonne", "Zoe",
)  # fmt: skip
_LAST = (
    "Anderson", "Bailey", "Baker", "Bennett", "Brooks", "Campbell", "Carter", "Chapman", "Clark", "Collins", "Cooper",
    "Cox", "Davies", "Edwards", "Evans", "Fisher", "Foster", "Gray", "Green", "Hall", "Harris", "Howard", "Hughes",
    "Jackson", "Johnson", "Jones", "Kelly", "King", "Lewis", "Marshall", "Mason", "Miller", "Mitchell", "Moore",
    "Morgan", "Murphy", "Nelson", "Parker", "Phillips", "Price", "Reed", "Richardson", "Roberts", "Rogers", "Russell",
    "Scott", "Shaw", "Simpson", "Smith", "Stewart", "Taylor", "Thompson", "Turner", "Walker", "Watson", "White",
    "Williams", "Wilson", "Wood", "Wright", "Young",
)  # fmt: skip
_PLACES = (
    "Amsterdam", "Athens", "Baltimore", "Barcelona", "Berlin", "Brussels", "Cairo", "Canada", "Chicago", "Cleveland",
    "Copenhagen", "Delhi", "Denver", "Edinburgh", "Egypt", "England", "Florida", "France", "Geneva", "Germany",
    "Glasgow", "Houston", "India", "Ireland", "Italy", "Japan", "Jerusalem", "Kansas", "Kenya", "Lisbon", "Liverpool",
    "Madrid", "Manchester", "Melbourne", "Mexico", "Montreal", "Moscow", "New York", "Norway", "Oxford", "Philadelphia",
    "Poland", "Portugal", "Prague", "Rome", "Scotland", "Seattle", "Stockholm", "Sydney", "Texas", "Tokyo", "Toronto",
    "Venice", "Virginia", "Warsaw", "Washington", "Zurich",
)  # fmt: skip
_TITLES = ("Doctor", "Professor", "Mister", "Missus", "Captain", "Judge")
_ACTS = (
    "was born in {place} in {year}", "lives near {place}", "will call you back on {day}", "wrote to us from {place}",
    "flew from {place} to {place}", "has worked in {place} since {year}", "asked for {person}",
    "is in {place} until {day}", "married {person} in {month}", "sold the house to {person}",
)  # fmt: skip

_PRICES = ("The {thing} costs {money}.", "She paid {money} for the {thing}.", "That is {money}, please.")
_APPOINTMENTS = (
    "We will meet at {time} on {date}.", "The shop opens at {time}.", "It happened on {date}, {year}.",
    "The letter of {date} came on {day}.",
)  # fmt: skip
_MEASURES = (
    "It is {number} {unit} away.", "About {number} {unit}.", "The answer is {number}.",
    "The value rose by {decimal} {unit}.", "They counted {number} of them in {year}.",
)  # fmt: skip


def number_words(number: int) -> str:
    """Return the words of a number from 0 to 999,999, in American English: three hundred twelve."""
    assert 0 <= number < 1_000_000, f"{number} is not between 0 and 999,999"
    if number >= 1000:
        return f"{number_words(number // 1000)} thousand{_rest(number % 1000)}"
    if number >= 100:
        return f"{_SMALL[number // 100]} hundred{_rest(number % 100)}"
    if number >= 20:
        return _TENS[number // 10] + (f"-{_SMALL[number % 10]}" if number % 10 else "")
    return _SMALL[number]


def ordinal_words(number: int) -> str:
    """Return the ordinal of a number: 21 is twenty-first."""
    head, last = _split_last(number_words(number))
    if last in _IRREGULAR:
        return head + _IRREGULAR[last]
    return head + (f"{last[:-1]}ieth" if last.endswith("y") else f"{last.removesuffix('t')}th")


def year_words(year: int) -> str:
    """Return how a year from 1100 to 2099 is read: nineteen oh five, two thousand seven, twenty fifteen."""
    century, rest = divmod(year, 100)
    if 2000 <= year < 2010:
        return number_words(year)
    if rest == 0:
        return f"{number_words(century)} hundred"
    return f"{number_words(century)} {'oh ' if rest < 10 else ''}{number_words(rest)}"


def number_sentence(rng: random.Random) -> str:
    """Draw a sentence about an amount, a date, a time or a measure."""
    return rng.choice(_SENTENCES)(rng)


def name_sentence(rng: random.Random) -> str:
    """Draw a sentence about a person and a place."""
    act = rng.choice(_ACTS)
    for slot, draw in _SLOTS.items():
        while f"{{{slot}}}" in act:
            act = act.replace(f"{{{slot}}}", draw(rng), 1)
    return f"{_person(rng)} {act}."


def _rest(number: int) -> str:
    return f" {number_words(number)}" if number else ""


def _split_last(words: str) -> tuple[str, str]:
    cut = max(words.rfind(" "), words.rfind("-")) + 1
    return words[:cut], words[cut:]


def _person(rng: random.Random) -> str:
    name = f"{rng.choice(_FIRST)} {rng.choice(_LAST)}"
    return rng.choice((name, name, f"{rng.choice(_TITLES)} {rng.choice(_LAST)}"))


def _amount(rng: random.Random) -> int:
    """Numbers of every length are as frequent as one another."""
    return rng.randrange(2, 10 ** rng.choice((1, 2, 2, 3, 4)) + 2)


def _year(rng: random.Random) -> str:
    return year_words(rng.randrange(1700, 2040))


def _date(rng: random.Random) -> str:
    month, day = rng.choice(_MONTHS), ordinal_words(rng.randrange(1, 32))
    return rng.choice((f"{month} {day}", f"the {day} of {month}"))


def _time(rng: random.Random) -> str:
    hour = _SMALL[rng.randrange(1, 13)]
    minute = rng.randrange(1, 60)
    exact = f"{hour} {'oh ' if minute < 10 else ''}{number_words(minute)}"
    return rng.choice((f"{hour} o'clock", f"half past {hour}", f"a quarter to {hour}", exact, exact))


def _money(rng: random.Random) -> str:
    unit, part = rng.choice(_MONEY)
    cents = rng.randrange(2, 100)
    parts = "pence" if part == "penny" else f"{part}s"
    return f"{number_words(_amount(rng))} {unit}s" + rng.choice(("", f" and {number_words(cents)} {parts}"))


def _price(rng: random.Random) -> str:
    return rng.choice(_PRICES).format(thing=rng.choice(_THINGS), money=_money(rng))


def _appointment(rng: random.Random) -> str:
    return rng.choice(_APPOINTMENTS).format(time=_time(rng), date=_date(rng), year=_year(rng), day=rng.choice(_DAYS))


def _measure(rng: random.Random) -> str:
    number = number_words(_amount(rng))
    whole = _SMALL[rng.randrange(10)]
    decimal = f"{whole} point {' '.join(_SMALL[rng.randrange(10)] for _ in range(rng.choice((1, 2))))}"
    return rng.choice(_MEASURES).format(number=number, decimal=decimal, unit=rng.choice(_UNITS), year=_year(rng))


_SENTENCES: tuple[Callable[[random.Random], str], ...] = (_price, _appointment, _measure)
_SLOTS: Mapping[str, Callable[[random.Random], str]] = {
    "place": lambda rng: rng.choice(_PLACES),
    "day": lambda rng: rng.choice(_DAYS),
    "month": lambda rng: rng.choice(_MONTHS),
    "year": _year,
    "person": _person,
}
