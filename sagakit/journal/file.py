"""The file that a journal lies in: whether it is one, and who may write to it.

Two locks keep a second writer out. ``FILE.lock`` beside the journal is there on every system; but
it goes by the file's name, and can be deleted. Where that can be had, on Linux, the file itself is
locked as well (``flock``), whatever it is called. SQLite's own locks (``fcntl``) know nothing of
that one there; on other systems the two would be in each other's way. Both vanish with the
process, however it dies.

A trap: closing any descriptor of a file drops all ``fcntl`` locks that the process has on it,
SQLite's too. So a descriptor of ours is closed only when no journal of this process has the file
open.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from sagakit.errors import (
    JournalBusyError,
    JournalCorruptError,
    JournalError,
    JournalReadOnlyError,
)

if TYPE_CHECKING:
    from filelock import BaseFileLock

_Inode = tuple[int, int]

_LOCKS_FILES = sys.platform == "linux"
_MAGIC = b"SQLite format 3\0"
_WAL_HEADER = 32

_guard = threading.Lock()
_opened: dict[_Inode, int] = {}  # how many journals of this process have it open
_descriptors: dict[_Inode, list[int]] = {}  # ours of it, to be closed after the last of them


class Hold:
    """What a journal has of its file, from before SQLite opens it until after it has closed it.

    Parameters:
        path: the file; made if it does not exist (its folder must).
        read_only: only to be read: nothing is made or locked.

    Raises:
        JournalError, with nothing made: it cannot be had; the subclasses say why.
    """

    def __init__(self, path: Path, *, read_only: bool) -> None:
        self._path = path
        self.exists = _is_there(path)
        if self.exists:
            _check_begin(path)
        elif read_only:
            raise JournalError(f"journal '{path}' does not exist")
        self._lock = None if read_only else _lock_beside(path)
        self._lock_inode = None if self._lock is None else _inode(self._lock.lock_file)
        self._inode: _Inode | None = None
        self._locked: int | None = None
        try:
            # now that nobody else writes to it
            self.exists = _is_there(path)
            if self.exists:
                _check_whole(path)
                _check_wal(path)
            self._take(read_only)
        except BaseException:
            self.release()
            raise

    def _take(self, read_only: bool) -> None:
        with _guard:
            if read_only:
                self._inode = _inode(self._path)
                if self._inode is not None:
                    _opened[self._inode] = _opened.get(self._inode, 0) + 1
                return
            descriptor = _open(self._path, os.O_RDONLY | os.O_CREAT)
            there = os.fstat(descriptor)
            self._inode = there.st_dev, there.st_ino
            _opened[self._inode] = _opened.get(self._inode, 0) + 1
            _descriptors.setdefault(self._inode, []).append(descriptor)
        if _LOCKS_FILES:
            self._lock_file(descriptor)
        if there.st_nlink > 1:
            raise JournalError(
                f"journal '{self._path}' has {there.st_nlink} names (hard links), and what was "
                "written last is kept under one of them, in NAME-wal; remove the other names"
            )

    def _lock_file(self, descriptor: int) -> None:
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _busy(self._path) from None
        except OSError:  # a file system without: the lock beside the file has to do
            return
        self._locked = descriptor

    def lost(self) -> bool:
        """Whether the file is no longer where it was, or can be had by a second writer."""
        if _inode(self._path) != self._inode:
            return True
        alone = self._locked is not None or self._lock is None
        return not alone and _inode(self._lock.lock_file) != self._lock_inode  # type: ignore[union-attr]

    def release(self) -> None:
        """Let go of the file. Twice is allowed."""
        with _guard:
            if self._locked is not None:
                import fcntl

                fcntl.flock(self._locked, fcntl.LOCK_UN)
                self._locked = None
            inode, self._inode = self._inode, None
            if inode is not None:
                _opened[inode] -= 1
                if not _opened[inode]:
                    del _opened[inode]
                    for descriptor in _descriptors.pop(inode, ()):
                        os.close(descriptor)
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _inode(path: str | Path) -> _Inode | None:
    try:
        there = os.stat(path)
    except OSError:
        return None
    return there.st_dev, there.st_ino


def _open(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags, 0o644)
    except PermissionError:
        raise JournalReadOnlyError(f"journal '{path}' cannot be read; see its rights") from None
    except OSError as error:
        raise JournalError(f"journal '{path}' cannot be opened: {error}") from error


def _is_there(path: Path) -> bool:
    """Whether the file exists and holds something; an error for what is no file."""
    try:
        there = path.stat()
    except PermissionError:
        raise JournalReadOnlyError(f"journal '{path}' cannot be read; see its rights") from None
    except OSError:
        return False
    if stat.S_ISDIR(there.st_mode):
        raise JournalError(f"journal '{path}' is a folder; name a file")
    if not stat.S_ISREG(there.st_mode):
        raise JournalError(f"journal '{path}' is a pipe or a device; name a file")
    return there.st_size > 0


def _header(path: Path) -> bytes | None:
    """Its first 100 bytes; None: another journal of this process has it open, so all is well."""
    with _guard:
        if _inode(path) in _opened:
            return None
        descriptor = _open(path, os.O_RDONLY)
        try:
            return os.read(descriptor, 100)
        finally:
            os.close(descriptor)


def _check_begin(path: Path) -> None:
    """Tell a foreign file before anything is made beside it."""
    header = _header(path)
    if header is not None and not (len(header) == 100 and header.startswith(_MAGIC)):
        raise JournalCorruptError(
            f"'{path}' is not a sagakit journal (it is not an SQLite file); name another file"
        )


def _check_whole(path: Path) -> None:
    """Tell a file that was cut off before SQLite touches it."""
    header = _header(path)
    if header is None:
        return
    page_size = int.from_bytes(header[16:18], "big")
    page_size = 65536 if page_size == 1 else page_size
    pages = int.from_bytes(header[28:32], "big")
    size = path.stat().st_size
    if size < pages * page_size and not _size(_wal(path)):
        raise JournalCorruptError(
            f"journal '{path}' is truncated: {size} bytes of {pages * page_size}; restore it from "
            "a copy (nothing was written to it)"
        )


def _check_wal(path: Path) -> None:
    """Tell a damaged ``-wal``: SQLite would take it for empty, and what it holds would be lost.

    One that is all zeros is none: a power failure leaves it so, before the first commit in it.
    """
    wal = _wal(path)
    for _ in range(2):  # an engine may just be writing it anew
        try:
            with wal.open("rb") as file:
                header = file.read(_WAL_HEADER)
                more = file.read(1 << 16)
        except FileNotFoundError:
            return
        except OSError as error:
            raise JournalReadOnlyError(f"journal '{path}': '{wal}': {error.strerror}") from None
        if not more or _is_wal(header) or not any(header + more):
            return
    raise JournalCorruptError(
        f"journal '{path}': '{wal}', which holds what was written last, is damaged; restore both "
        "from a copy (nothing was written to them)"
    )


def _is_wal(header: bytes) -> bool:
    """Whether SQLite takes this for the header of a write-ahead log: its checksum is right."""
    magic = int.from_bytes(header[:4], "big")
    if magic & ~1 != 0x377F0682:
        return False
    order = "big" if magic & 1 else "little"
    first = second = 0
    for place in range(0, 24, 8):
        first += int.from_bytes(header[place : place + 4], order) + second  # type: ignore[arg-type]
        second += int.from_bytes(header[place + 4 : place + 8], order) + first  # type: ignore[arg-type]
        first, second = first & 0xFFFFFFFF, second & 0xFFFFFFFF
    kept = header[24:28], header[28:32]
    return (first, second) == tuple(int.from_bytes(part, "big") for part in kept)


def _wal(path: Path) -> Path:
    """Where SQLite keeps what was written last: a link to the file has none of its own."""
    return Path(f"{path.resolve()}-wal")


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0


def _lock_beside(path: Path) -> BaseFileLock:
    import filelock

    if not path.parent.is_dir():
        raise JournalError(f"journal '{path}': the folder '{path.parent}' does not exist; make it")
    lock = filelock.FileLock(f"{path.resolve()}.lock", thread_local=False)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise _busy(path) from None
    except OSError as error:
        raise JournalReadOnlyError(f"journal '{path}': cannot lock it: {error}") from error
    return lock


def _busy(path: Path) -> JournalBusyError:
    return JournalBusyError(
        f"journal '{path}' is open in another engine; close that one first. To read it "
        "meanwhile: SqliteJournal(…, read_only=True), or 'sagakit list' and 'sagakit inspect'"
    )
