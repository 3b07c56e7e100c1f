"""The files in which each process counts, on a file system that may be full.

prometheus_client maps its files into memory and leaves their blocks to be found at the first write. Where there are
none left, that write is no error but a SIGBUS, which ends the process. So each file is written in full before it is
mapped and before it grows, and a process that gets no room counts nothing.
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
ADDED = ("counter", "histogram")  # what a process has counted stays; what a gauge of it showed is over
DEAD = "dead"  # in place of a process id: the sum of all processes that have ended
SIZE = 1 << 16  # bytes; prometheus_client doubles a file that is full
ENTRY = 1 << 10  # bytes; more than a name with its labels and help takes


class MetricFiles:
    """Those in `directory`. `room` says whether this process may count."""

    def __init__(self, directory: str) -> None:
        self.directory = Path(directory)
        self.room = True

    def allocate(self) -> None:
        """Make the files of this process.

        Raises:
            OSError: there is no room; then there is none of them.
        """
        try:
            for kind in KINDS:
                _enlarge(self._path(kind, os.getpid()), SIZE)
        except OSError:
            self._remove(os.getpid())
            raise

    def allocate_or_count_nothing(self) -> None:
        """The same in a new worker, which serves without them too."""
        try:
            self.allocate()
        except OSError as e:
            self._stop(e)

    def has_room_for_one_more(self, kind: str) -> bool:
        """Whether a name or a label may be added to the file of this `kind`, which grows for it if need be."""
        path = self._path(kind, os.getpid())
        if self.room:
            try:
                if _used(path) + ENTRY > (size := path.stat().st_size):
                    _enlarge(path, 2 * size)
            except OSError as e:
                self._stop(e)
        return self.room

    def bury(self, pid: int) -> None:
        """Add what an ended process has counted to `DEAD`, and remove its files."""
        try:
            counted = {kind: _read(self._path(kind, pid)) for kind in ADDED}
            self._remove(pid)  # first, for its room may be needed
            for kind, (metrics, size) in counted.items():
                self._add(self._path(kind, DEAD), metrics, size)
        except (OSError, RuntimeError, ValueError, struct.error) as e:
            self._remove(pid)
            log.error("metrics_lost", extra={"error": type(e).__name__})

    def _add(self, path: Path, metrics: Iterable[Metric], size: int) -> None:
        _enlarge(path, max(SIZE, _used(path) + size))
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
    """What a metric counts with: prometheus_client's own, as long as there is room in `files`."""

    files: ClassVar[MetricFiles]

    def __init__(self, typ: str, *args: Any, multiprocess_mode: str = "", **kwargs: Any) -> None:
        if self.files.has_room_for_one_more(f"{typ}_{multiprocess_mode}" if multiprocess_mode else typ):
            super().__init__(typ, *args, multiprocess_mode=multiprocess_mode, **kwargs)

    def inc(self, amount: float) -> None:
        """Add it."""
        if self.files.room:
            super().inc(amount)

    def set(self, value: float, timestamp: float | None = None) -> None:
        """Replace what was there."""
        if self.files.room:
            super().set(value, timestamp)

    def get(self) -> float:
        """What was counted by this process."""
        return float(super().get()) if self.files.room else 0.0


def _read(path: Path) -> tuple[list[Metric], int]:
    """What is in it, histograms not accumulated, and how many bytes that takes."""
    if not path.exists():
        return [], 0
    return list(MultiProcessCollector.merge([str(path)], accumulate=False)), _used(path)  # type: ignore[no-untyped-call]


def _used(path: Path) -> int:
    """The first four bytes of a file say how many are in use."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        return int.from_bytes(file.read(4), "little")
    return 0


def _enlarge(path: Path, size: int) -> None:
    """With zeros, which take up their room: a hole would not."""
    with path.open("ab", buffering=0) as file:
        missing = size - file.tell()
        while missing > 0:
            missing -= file.write(bytes(missing))
