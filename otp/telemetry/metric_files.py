"""The files in which each process counts, on a disk that may be full.

prometheus_client maps its files into memory, and their blocks are allocated at the first write. If the disk is full,
this write raises no error: a SIGBUS ends the process. So each file is filled with zeros before it is mapped and before
it grows, and a process without room counts nothing.
"""

import logging
import os
import struct
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from prometheus_client import Metric
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.values import MultiProcessValue

log = logging.getLogger("otp.metrics")

KINDS = ("counter", "gauge_livesum", "gauge_max", "histogram")  # each has a file of its own for each process
ADDED = ("counter", "histogram")  # what an ended process has counted is kept; its gauges are not
ENDED = "dead"  # in place of a process id: the sum of all processes that have ended
SIZE = 1 << 16  # bytes; prometheus_client doubles a file that is full
ENTRY = 1 << 10  # bytes; more than an entry needs: a name, its labels and its help


class MetricFiles:
    """The files in `directory`. `room` says whether this process may count."""

    def __init__(self, directory: str) -> None:
        self.directory = Path(directory)
        self.room = True

    def allocate(self) -> None:
        """Make the files of this process.

        Raises:
            OSError: there is no room. No file is left.
        """
        try:
            for kind in KINDS:
                _enlarge(self._path(kind, os.getpid()), SIZE)
        except OSError:
            self._remove(os.getpid())
            raise

    def allocate_or_count_nothing(self) -> None:
        """Like `allocate`, for a new worker, which can serve without metrics."""
        try:
            self.allocate()
        except OSError as e:
            self._stop(e)

    def has_room_for_one_more(self, kind: str) -> bool:
        """Whether an entry may be added to the file of this `kind`. Enlarges the file if necessary."""
        path = self._path(kind, os.getpid())
        if self.room:
            try:
                if _used_bytes(path) + ENTRY > (size := path.stat().st_size):
                    _enlarge(path, 2 * size)
            except OSError as e:
                self._stop(e)
        return self.room

    def merge_ended(self, pid: int) -> None:
        """Add what an ended process has counted to the file of `ENDED`, and remove its files."""
        try:
            counted = {kind: _read(self._path(kind, pid)) for kind in ADDED}
            self._remove(pid)  # first, for the sum may need the room
            for kind, (metrics, size) in counted.items():
                self._add(self._path(kind, ENDED), metrics, size)
        except (OSError, RuntimeError, ValueError, struct.error) as e:
            self._remove(pid)
            log.error("metrics_lost", extra={"error": type(e).__name__})

    def _add(self, path: Path, metrics: Iterable[Metric], size: int) -> None:
        _enlarge(path, max(SIZE, _used_bytes(path) + size))
        total = MmapedDict(str(path))  # type: ignore[no-untyped-call]
        for metric in metrics:
            for name, labels, value, *_ in metric.samples:
                key = mmap_key(metric.name, name, [*labels], [*labels.values()], metric.documentation)
                before, _ = total.read_value(key)  # type: ignore[no-untyped-call]
                total.write_value(key, before + value, 0.0)  # type: ignore[no-untyped-call]
        total.close()  # type: ignore[no-untyped-call]

    def _stop(self, error: OSError) -> None:
        self.room = False
        log.error("no_metrics", extra={"error": error.strerror})

    def _path(self, kind: str, owner: int | str) -> Path:
        return self.directory / f"{kind}_{owner}.db"

    def _remove(self, pid: int) -> None:
        for path in self.directory.glob(f"*_{pid}.db"):
            path.unlink(missing_ok=True)


class Value(MultiProcessValue()):  # type: ignore[misc]
    """prometheus_client's value of a metric, as long as there is room in `files`."""

    files: ClassVar[MetricFiles]

    def __init__(self, typ: str, *args: Any, multiprocess_mode: str = "", **kwargs: Any) -> None:
        if self.files.has_room_for_one_more(f"{typ}_{multiprocess_mode}" if multiprocess_mode else typ):
            super().__init__(typ, *args, multiprocess_mode=multiprocess_mode, **kwargs)

    def inc(self, amount: float) -> None:
        """Add `amount`."""
        if self.files.room:
            super().inc(amount)

    def set(self, value: float, timestamp: float | None = None) -> None:
        """Replace the value."""
        if self.files.room:
            super().set(value, timestamp)

    def get(self) -> float:
        """The value of this process."""
        return float(super().get()) if self.files.room else 0.0


def _read(path: Path) -> tuple[list[Metric], int]:
    """The metrics of a file, with histograms that are not accumulated, and its size in bytes."""
    if not path.exists():
        return [], 0
    return list(MultiProcessCollector.merge([str(path)], accumulate=False)), _used_bytes(path)  # type: ignore[no-untyped-call]


def _used_bytes(path: Path) -> int:
    """The bytes of a file that are in use: its first four bytes say it."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        return int.from_bytes(file.read(4), "little")
    return 0


def _enlarge(path: Path, size: int) -> None:
    """Append zeros, for which the disk allocates blocks: it would not for a hole."""
    with path.open("ab", buffering=0) as file:
        missing = size - file.tell()
        while missing > 0:
            missing -= file.write(bytes(missing))
