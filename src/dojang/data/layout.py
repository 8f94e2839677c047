"""From names to labels: which folders are splits, which are classes, and what is left out.

The same rules hold for a folder and for what an archive has inside; both come as a :class:`Listing`.  Nothing is
decided by what the files contain: that is decode's part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dojang.data.labels import Row, by_name
from dojang.data.manifest import Manifest, Source, pasted, plain, same_name
from dojang.errors import DataError, listing, many

_PICTURES = {"jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff", "mpo"}
_PACKED = (".tar", ".zip", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".csv")
# what systems leave behind; no class is called so
_CLUTTER = {"__macosx", "thumbs.db", "desktop.ini", "lost+found", "$recycle.bin", "system volume information", "@eadir"}
#: what the folders of splits are called
ROLES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_READ = "Read: jpg, png, webp, bmp, gif, tiff (by content)."


def is_picture(path: str) -> bool:
    """Whether a file is listed as a picture, by its extension; what it really is, is seen when it is decoded."""
    stem, dot, extension = path.rpartition("/")[2].rpartition(".")
    return bool(stem and dot) and extension.lower() in _PICTURES


def is_hidden(name: str) -> bool:
    """Whether a file or folder is the system's or a tool's own, to be passed over and reported."""
    return name.startswith(".") or name.lower() in _CLUTTER


def unfit(name: str) -> str:
    """Why a class folder cannot have a name, or nothing."""
    if not name.strip():
        return "it is empty"
    if "/" in name or "\\" in name or "\0" in name or name in (".", ".."):
        return "it would lead to another folder"
    if is_hidden(name):
        return "dojang passes over folders of such names"
    if name.lower() in ROLES:
        return "it is that of a split"
    if len(name.encode("utf-8", "surrogatepass")) > 255:
        return "it has more than 255 bytes"
    return ""


@dataclass
class Listing:
    """The names in a folder or an archive, relative to it and joined by "/", before anything is made of them.

    Args:
        pictures: Files whose extension is that of a picture.
        others: All other files.
        folders: All folders, also empty ones.
        hidden: The outermost hidden files and folders.
        notes: What was passed over while listing.
    """

    pictures: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    folders: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def add_file(self, path: str) -> bool:
        """Enter a file by its extension; whether it is that of a picture."""
        picture = is_picture(path)
        (self.pictures if picture else self.others).append(path)
        return picture

    def all_notes(self) -> list[str]:
        """What the user should know of what was passed over."""
        notes = list(self.notes)
        if self.hidden:
            notes.append(
                f"ignored {many(len(self.hidden), 'hidden file or folder', 'hidden files and folders')}: "
                f"{listing(map(plain, sorted(self.hidden)), most=5)}"
            )
        if self.others:
            are = "that is not a picture:" if len(self.others) == 1 else "that are not pictures, e.g."
            notes.append(f"ignored {many(len(self.others), 'file')} {are} {plain(min(self.others))}")
        return notes


def arrange(found: Listing, source: Source, where: str, *, archive: str = "") -> Manifest:
    """The manifest of pictures that lie in class folders, inside split folders or not.

    Args:
        found: The names.
        where: What the user gave, for messages.
        archive: The file name of the archive they are in; empty for a folder.

    Raises:
        DataError: D101 no pictures, D122 no class folders, D123 the folder above was given, D124 no train part,
            D107 a class that train lacks, D125 two folders for one split.
    """
    if not found.pictures:
        raise _no_pictures(found, where, archive)
    notes = found.all_notes()
    root, direct, tops = _settle(found.pictures)
    here = f"{where}{'!' if archive else ''}/{root}".rstrip("/") if root else where
    if not tops:
        raise _no_classes(where, here, direct, found, archive)
    parts = _parts(tops, root, here)
    if root and archive:
        notes.append(f"went down into {plain(root)}, the only folder with pictures in the archive")
    elif root and (parts or len(tops) > 1):
        raise DataError(
            "D123",
            f"{where!r} holds no class folders itself but one folder, {plain(root)}, with {_names(tops)} in it.",
            fix=f"give the folder inside: {pasted(here)}",
        )
    if direct:
        notes.append(_left_out(direct))
    rows: list[Row] = []
    for role, top in parts.items():
        direct, classes = _below(tops[top], f"{root}{top}/")
        if not classes and role == "train":
            raise _no_classes(where, f"{here}/{top}", direct, found, archive)
        if direct:
            notes.append(_left_out(direct))
        notes += _about_classes(classes, found, f"{root}{top}/")
        rows += _rows(classes, role)
    if parts:
        beside = {top: pictures for top, pictures in tops.items() if top not in parts.values()}
        if beside:
            number = many(sum(map(len, beside.values())), "image")
            notes.append(f"left out what lies beside {parts['train']}/: {_names(beside)} ({number})")
        notes += _empty(found, root, tops)
    else:
        roles = [name for name in tops if name.lower() in ROLES]
        if roles:
            notes.append(f"took {_names(roles)} for a class, not a split, because of the folders beside it")
        notes += _about_classes(tops, found, root)
        rows = _rows(tops, "")
    prefix = f"{archive}!/" if archive else ""
    rows = [row._replace(path=prefix + row.path) for row in rows]
    return by_name(source, rows, notes, fix="rename the folder, or add the class to train/.")


def _below(pictures: Iterable[str], root: str) -> tuple[list[str], dict[str, list[str]]]:
    """The pictures directly in a folder, and those further down by the name of the folder there."""
    direct: list[str] = []
    tops: dict[str, list[str]] = {}
    for path in pictures:
        top, slash, _ = path[len(root) :].partition("/")
        (tops.setdefault(top, []) if slash else direct).append(path)
    return sorted(direct), {top: sorted(tops[top]) for top in sorted(tops)}


def _settle(pictures: list[str]) -> tuple[str, list[str], dict[str, list[str]]]:
    """Go down while a folder holds nothing but one folder of folders; gives that place and what is in it."""
    root = ""
    direct, tops = _below(pictures, root)
    while not direct and len(tops) == 1:
        (top,) = tops
        inner = f"{root}{top}/"
        inside = _below(tops[top], inner)
        # a folder with pictures directly in it is a class (or train/), not one to go down into
        if inside[0] or top.lower() in ROLES:
            break
        root, (direct, tops) = inner, inside
    return root, direct, tops


def _parts(tops: Mapping[str, list[str]], root: str, here: str) -> dict[str, str]:
    """The folder of each split; empty when the folders are classes."""
    parts: dict[str, str] = {}
    for top in tops:
        role = ROLES.get(top.lower())
        if role and parts.setdefault(role, top) != top:
            raise DataError(
                "D125",
                f"{here!r} has two folders for the {role} split: {_names([parts[role], top])}.",
                fix=f"put their pictures into one, or move {plain(top)}/ elsewhere.",
            )
    only_parts = len(parts) == len(tops)
    if "train" in parts and (only_parts or len(parts) > 1):
        return parts
    if parts and only_parts:
        first = f"{here}/{next(iter(parts.values()))}"
        raise DataError(
            "D124",
            f"{here!r} has {_names(parts.values())} but no train/ with pictures.",
            fix=f"add train/ with one folder of pictures a class; or give {pasted(first)}, which is then divided.",
        )
    inner = {top: _below(pictures, f"{root}{top}/") for top, pictures in tops.items()}
    shared = [top for top in parts.values() if set(inner[top][1]) & set(tops)]
    if shared:
        raise DataError(
            "D124",
            f"{here!r} has class folders beside {_names(shared)}, which holds folders of the same names.",
            fix="move the class folders into train/, so that only train/, val/ and test/ remain.",
        )
    if all(not direct and below and all(name.lower() in ROLES for name in below) for direct, below in inner.values()):
        top, (_, below) = next(iter(inner.items()))
        raise DataError(
            "D124",
            f"{here!r} has its splits inside the class folders: {_names(f'{top}/{name}' for name in below)}.",
            fix=f"put the splits outside: {plain(min(below))}/{plain(top)}/ and so on.",
        )
    return {}


def _rows(classes: Mapping[str, list[str]], split: str) -> list[Row]:
    return [Row(path, name, split) for name, paths in classes.items() for path in paths]


def _about_classes(classes: Mapping[str, list[str]], found: Listing, place: str) -> list[str]:
    """What is odd about some class folders."""
    notes = _empty(found, place, classes)
    forms: dict[str, list[str]] = {}
    for name in classes:
        forms.setdefault(same_name(name), []).append(name)
    for several in forms.values():
        if len(several) > 1:
            spelled = " and ".join(map(ascii, several))
            notes.append(f"two folders are one class, for their names are the same in Unicode: {spelled}")
    inner = [paths for name, paths in classes.items() if not _below(paths, f"{place}{name}/")[0]]
    if inner and len(inner) == len(classes):
        notes.append(f"where folders are nested, the outer one names the class, e.g. of {plain(inner[0][0])}")
    return notes


def _empty(found: Listing, place: str, full: Iterable[str]) -> list[str]:
    """A note on the folders in a place that hold no pictures."""
    inside = {folder[len(place) :] for folder in found.folders if folder.startswith(place)} - set(full)
    empty = [f"{plain(place + name)}/" for name in sorted(inside) if name and "/" not in name]
    return [f"left out {many(len(empty), 'folder')} without pictures: {listing(empty, most=5)}"] if empty else []


def _left_out(paths: list[str]) -> str:
    return f"left out {many(len(paths), 'image')} in no class folder, e.g. {plain(paths[0])}"


def _names(folders: Iterable[str]) -> str:
    """Folders as one reads them: cat/, dog/ and 3 more."""
    names = [f"{plain(folder)}/" for folder in sorted(folders)]
    return " and ".join(names) if len(names) == 2 else listing(names, most=5)


def _no_classes(where: str, here: str, direct: list[str], found: Listing, archive: str) -> DataError:
    tables = sorted(path for path in found.others if path.lower().endswith(".csv") and "/" not in path)
    cat, dog = pasted(f"{here}/cat"), pasted(f"{here}/dog")
    fix = f"mkdir {cat} {dog} and so on, and move each picture into the folder of its class."
    if archive:
        fix = "pack the pictures in one folder a class."
    elif tables:
        fix = f"give the table, if it has the columns path,label: {pasted(f'{where}/{tables[0]}')}"
    return DataError(
        "D122",
        f"{here!r} holds {many(len(direct), 'image')} but no class folders, e.g. {plain(direct[0])}.",
        context="The label of a picture is the name of the folder it lies in.",
        fix=fix,
    )


def _no_pictures(found: Listing, where: str, archive: str) -> DataError:
    context, fix = _READ, "give the folder that holds one folder of pictures a class."
    tops = sorted({path.partition("/")[0] for path in found.folders})
    holder = f"its {many(len(tops), 'folder')}, {_names(tops)}," if tops else "it"
    s, are = ("", "are") if len(tops) > 1 else ("s", "is")
    if found.others:
        kinds = sorted(Counter(map(_extension, found.others)).items(), key=lambda kind: (-kind[1], kind[0]))
        words = ", ".join(f"{n:,} {kind}" for kind, n in kinds[:3])
        rest = sum(n for _, n in kinds[3:])
        more = f" and {rest:,} other" if rest else ""
        held = f"{holder} contain{s} {words}{more} {'file' if len(found.others) == 1 else 'files'}"
    elif tops:
        held = f"{holder} {are} empty"
    else:
        held = f"the {'archive' if archive else 'folder'} is empty"
    if found.hidden:
        context += f" Hidden files and folders are passed over: {listing(map(plain, sorted(found.hidden)), most=3)}."
    packed = sorted(path for path in found.others if path.lower().endswith(_PACKED))
    if packed and not archive:
        fix = f"give the file itself: {pasted(f'{where}/{packed[0]}')}"
    return DataError("D101", f"{where!r} holds no images: {held}.", context=context, fix=fix)


def _extension(path: str) -> str:
    _, dot, extension = path.rpartition("/")[2].rpartition(".")
    return plain(f".{extension}") if dot else "nameless"
