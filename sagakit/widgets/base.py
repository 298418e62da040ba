"""What every widget here is: traits that kernel and page share, one bundle, a picture beside."""

from __future__ import annotations

import contextvars
import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from sagakit.errors import SagaError
from sagakit.views.style import legend

_STATIC = Path(__file__).parent / "static"


class SagaWidget(anywidget.AnyWidget):
    """A thin view of a value. The page shows ``state``; what somebody does there comes as one
    ``edit``, which the kernel answers by a ``state`` of the same ``seq``.

    ``_widget`` says which of the bundle's views is drawn; ``legend`` is the one language of
    pictures, as ``sagakit.views.legend()`` gives it.
    """

    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)
    _widget = traitlets.Unicode().tag(sync=True)
    legend = traitlets.Dict().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)
    edit = traitlets.Dict().tag(sync=True, echo_update=False)

    def __init__(self, **traits: Any) -> None:
        self._home = contextvars.copy_context()
        super().__init__(legend=legend(), **traits)

    def send_state(self, key: str | Iterable[str] | None = None) -> None:
        """Tell the page the traits of these names, or all of them.

        It is told on behalf of the cell that made the widget, whichever thread or message changed a
        trait. For ipykernel 7.4 hands what the page sends next to the subshell on whose behalf the
        widget spoke last; JupyterLab ends one after a reload, and what went there would be lost.
        """
        self._home.copy().run(super().send_state, key)

    @traitlets.observe("edit")
    def _on_edit(self, change: Any) -> None:
        edit = change["new"]
        with self.hold_sync():
            wrong = words(lambda: self._answer(edit))
            if wrong is not None:  # the page waits for an answer before it sends the next edit
                self.state = {**self.state, "seq": edit.get("seq", 0), "said": wrong}
        # forgotten without a word to the page: the same gesture may come again after a reload
        self._trait_values["edit"] = {}

    def _answer(self, edit: dict[str, Any]) -> None:
        """Do what the page asks for, and answer by a state of the same ``seq``."""
        raise NotImplementedError

    def _picture(self) -> str:
        """The HTML for those who only read: it has no script, and an image as a data URI. Empty:
        there is nothing to see yet."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **options: Any) -> Any:
        made: Any = super()._repr_mimebundle_(**options)  # a pair, for a widget that has a view
        bundle, metadata = made
        picture = self._picture()
        html = {"text/html": picture} if picture else {}
        return {**bundle, **html, "text/plain": repr(self)}, metadata

    @traitlets.default("_esm")
    def _page(self) -> str:
        return _bundled("sagakit.js")

    @traitlets.default("_css")
    def _style(self) -> str:
        return _bundled("sagakit.css")


@functools.cache
def _bundled(name: str) -> str:
    try:
        return (_STATIC / name).read_text("utf-8")
    except FileNotFoundError:
        cure = f"sagakit's page '{name}' is not built; run `make widgets` in a checkout"
        raise FileNotFoundError(cure) from None


def words(doing: Callable[[], None]) -> dict[str, str] | None:
    """Do something; what went wrong, in words for the page, and None if nothing did.

    Somebody who clicks sees no traceback: whatever was raised must be told there.
    """
    try:
        doing()
    except KeyboardInterrupt:
        return {"text": "interrupted, as was asked of the kernel", "level": "error"}
    except SagaError as error:
        return {"text": str(error), "level": "error"}
    except Exception as error:  # noqa: BLE001  the user's world or saga may raise anything
        return {"text": f"{type(error).__name__}: {error}", "level": "error"}
    return None
