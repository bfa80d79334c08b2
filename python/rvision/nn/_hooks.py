"""Forward hooks: functions that see what modules are given and return.

`forward` is traced and not run on each call, so hooks observe: the values become further outputs of the
traced graph, and the hooks are called after the run, in the order in which the modules ran.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

from rvision._alias import PLAIN, Memory
from rvision._trace import Traced, Tracer
from rvision.errors import UnsupportedError
from rvision.nn._arguments import fill, template
from rvision.nn._tree import Tree

__all__ = [
    "Hook",
    "Hooked",
    "RemovableHandle",
    "Seen",
    "call_hooks",
    "heard",
    "note",
    "snapshot",
    "templates",
]


T = TypeVar("T", bound="Tree[Any]")


@dataclass(eq=False, frozen=True)
class Hook:
    """A registered function; `before` tells whether it is called before the module's `forward`."""

    function: Callable[..., Any]
    before: bool
    with_kwargs: bool


@dataclass(eq=False, frozen=True)
class Seen:
    """A call of a hooked module: its arguments, and its result after `forward`."""

    hook: Hook
    module: Any
    args: Any
    kwargs: Any
    result: Any = None

    def call(self, outputs: Sequence[Any]) -> None:
        """Call the hook with the arrays of a run."""
        values = [fill(self.args, outputs)]
        if self.hook.with_kwargs:
            values.append(fill(self.kwargs, outputs))
        if not self.hook.before:
            values.append(fill(self.result, outputs))
        if self.hook.function(self.module, *values) is not None:
            raise UnsupportedError(
                f"{type(self.module).__name__}: a forward hook returned a value, and hooks here only "
                "observe; return None from the hook, and to change what the module computes, replace it "
                "by one with another forward"
            )


class RemovableHandle:
    """A registered hook: `remove` unregisters it, and so does the end of a `with` block."""

    def __init__(self, module: Hooked[Any], hook: Hook) -> None:
        self._module = weakref.ref(module)
        self._hook = hook

    def remove(self) -> None:
        """Unregister the hook; a second time does nothing."""
        module = self._module()
        if module is not None and self._hook in (hooks := module.__dict__.get("_hooks", [])):
            hooks.remove(self._hook)
            module._links.changed()

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *args: object) -> None:
        self.remove()


class Hooked(Tree[T]):
    """The part of a module that registers hooks."""

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after each run of the network, once per call of this module.

        Values are those that the module was given and returned, even if a later layer works in place.
        Pictures (C, H, W) have no batch dimension here either.

        Parameters
        ----------
        hook : callable
            Takes the module, the tuple of positional arguments, and the output.
        prepend : bool
            Whether it is called before the module's other hooks.
        with_kwargs : bool
            Whether it is called as ``hook(module, args, kwargs, output)``.
        always_call : bool
            Has no effect: if a network raises an error, no hooks are called.

        Returns
        -------
        RemovableHandle
            Its ``remove()`` unregisters the hook; it is a context manager too.

        Raises
        ------
        UnsupportedError
            At the run, if the hook returns something other than None.

        Examples
        --------
        >>> seen = []
        >>> with model.layer4.register_forward_hook(lambda module, args, output: seen.append(output)):
        ...     model(x)
        """
        return self._hook(Hook(hook, False, with_kwargs), prepend)

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args)`` for each call of this module, see :meth:`register_forward_hook`."""
        return self._hook(Hook(hook, True, with_kwargs), prepend)

    def _hook(self, hook: Hook, prepend: bool) -> RemovableHandle:
        if not callable(hook.function):
            raise TypeError(
                f"{type(self).__name__}: a hook must be callable, got {type(hook.function).__name__}"
            )
        hooks = self.__dict__.setdefault("_hooks", [])
        hooks.insert(0 if prepend else len(hooks), hook)
        self._links.changed()
        return RemovableHandle(self, hook)

    def register_full_backward_hook(self, *args: Any, **kwargs: Any) -> RemovableHandle:
        """Raise UnsupportedError: there are no gradients."""
        raise UnsupportedError(
            f"{type(self).__name__}: rvision is for inference only: there are no gradients, so no "
            "backward hooks; register_forward_hook observes values"
        )

    register_full_backward_pre_hook = register_full_backward_hook
    register_backward_hook = register_full_backward_hook


def snapshot(value: Any, tracer: Tracer) -> Any:
    """Return a value with its symbols replaced by ones that operations in place do not change."""
    if isinstance(value, Traced):
        # A symbol of another call is refused where it is used.
        if value.tracer is not tracer:
            return value
        return type(value)(tracer, value.value_of(tracer), value._fixed, Memory(PLAIN))
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(snapshot(item, tracer) for item in value))
    if isinstance(value, list | tuple):
        return type(value)(snapshot(item, tracer) for item in value)
    if isinstance(value, dict):
        kept = ((key, snapshot(item, tracer)) for key, item in value.items())
        return type(value)(kept)
    return value


def note(
    tracer: Tracer, module: Any, args: Any, kwargs: Mapping[str, Any], before: bool, result: Any = None
) -> None:
    """Record a call of a hooked module during a trace."""
    hooks = [hook for hook in module.__dict__["_hooks"] if hook.before == before]
    if hooks:
        values = snapshot((tuple(args), dict(kwargs), result), tracer)
        tracer.seen += [Seen(hook, module, *values) for hook in hooks]


def heard(tracer: Tracer, module: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
    """Call `forward` within a call that the tracer's listeners are told of."""
    with ExitStack() as stack:
        calls = [
            stack.enter_context(listener.inside(module, tracer.path, module._is_leaf()))
            for listener in tracer.listeners
        ]
        result = module.forward(*args, **kwargs)
        for call in calls:
            call.append(result)
    return result


def templates(seen: Sequence[Seen], outputs: list[Traced]) -> tuple[Seen, ...]:
    """Return calls with places instead of symbols, which are appended to `outputs`."""
    return tuple(
        Seen(
            one.hook,
            one.module,
            template(one.args, outputs),
            template(one.kwargs, outputs),
            template(one.result, outputs),
        )
        for one in seen
    )


def call_hooks(seen: Sequence[Seen], outputs: Sequence[Any]) -> None:
    """Call the hooks of a run, in the order in which the modules ran."""
    for one in seen:
        one.call(outputs)
