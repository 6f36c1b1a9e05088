"""What a machine can run out of, in one sentence with the remedy."""

import errno
import re
import sys

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
NO_PERMISSION = (errno.EACCES, errno.EPERM)
GO_ON = "go on with fit --resume latest"
NO_MEMORY = re.compile("can't allocate memory|out of memory|not enough memory", re.IGNORECASE)
NO_WORKERS = "set --data.init_args.num_workers=0"


def shortage(error: BaseException | None) -> str | None:
    """Which resource of the machine ran out, if that caused ``error``; else ``None``."""
    while error is not None:
        if sentence := _sentence(error):
            return sentence
        error = error.__cause__ or error.__context__
    return None


def _is_of_device(error: BaseException) -> bool:
    """Whether an accelerator's memory is full; torch is not imported to find out."""
    return "torch" in sys.modules and isinstance(error, sys.modules["torch"].OutOfMemoryError)


def _sentence(error: BaseException) -> str | None:
    text, number = str(error), error.errno if isinstance(error, OSError) else None
    is_memory = isinstance(error, MemoryError) or _is_of_device(error) or number == errno.ENOMEM
    if is_memory or (isinstance(error, RuntimeError) and NO_MEMORY.search(text)):
        tried = re.search(r"tried to allocate ([\d.]+ \w+)", text, re.IGNORECASE)
        return (
            f"out of memory{f', no room for {tried[1]} more' if tried else ''}; lower batch_size "
            "(--data.init_args.batch_size; predict: --batch_size) and start from these weights: "
            f"fit --init_from latest, or free some memory and {GO_ON}"
        )
    if "Too many open files" in text:
        return f"too many open files; raise the limit (ulimit -n 4096) or {NO_WORKERS}, and {GO_ON}"
    if isinstance(error, RuntimeError) and re.search(r"shared memory|\(shm\)|Bus error", text):
        return (
            "too little shared memory for num_workers; give more (docker run --shm-size=8g) "
            f"or {NO_WORKERS}, and {GO_ON}"
        )
    if not isinstance(error, OSError):
        return None
    if number in NO_SPACE:
        return (
            f"cannot write {error.filename or 'to the run folder'}: {error.strerror}; free space "
            f"and {GO_ON}: existing checkpoints are intact"
        )
    if number in NO_PERMISSION and error.filename:
        return (
            f"cannot read or write {error.filename}: {error.strerror}; correct the permissions, or "
            "choose another folder (--trainer.default_root_dir); existing checkpoints are intact"
        )
    return None
