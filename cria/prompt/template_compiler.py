"""Jinja's compiler, made to produce code that keeps to the limits of `render_limits`.

1. The body of every loop, macro and block ticks, and so does the condition of a loop.
2. A sum of texts is checked where it is complete, and within long sums after every few of them:
   text that doubles, doubles in a variable, and on the way there it is checked.
3. Lists and the like are checked where they are put together.
4. What is written is asked for its size first: by `written`, or with a sum's own check.
"""

from __future__ import annotations

from typing import Any

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame

_CHECK_EVERY = 4
"""Levels of sums within sums: at most 16 checked texts are put together without a look."""

RUNTIME = """
from time import perf_counter
from cria.prompt.render_limits import current_budget, fits, tick
from cria.prompt.template_guards import built, fits_written, join_texts
"""
"""Stands at the end of the code of a template, where no line is moved by it."""

_STATEMENTS = {
    "start": "budget = current_budget()",
    # Inline, since a call for every turn of a loop would cost more than all other checks.
    "look": "if perf_counter() > budget.deadline: budget.look()",
    "tick": "tick()",
}


class LimitedCodeGenerator(CodeGenerator):
    """Its code calls the functions that `RUNTIME` imports."""

    _level = 0
    _is_written = False

    def visit_EnvironmentAttribute(self, node: nodes.EnvironmentAttribute, frame: Frame) -> None:
        """Only `add_ticks` makes them."""
        self.write(_STATEMENTS[node.name])

    def visit_Name(self, node: nodes.Name, frame: Frame) -> None:
        """All arguments of a macro are as good as put together in it."""
        is_built = node.ctx == "load" and node.name in ("varargs", "kwargs")
        self.write("built(" if is_built else "")
        super().visit_Name(node, frame)
        self.write(")" if is_built else "")

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:
        if node.ctx == "load":
            self._visit_built(node, super().visit_Tuple, frame)
        else:
            super().visit_Tuple(node, frame)

    def visit_List(self, node: nodes.List, frame: Frame) -> None:
        self._visit_built(node, super().visit_List, frame)

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:
        self._visit_built(node, super().visit_Dict, frame)

    def _visit_built(self, node: nodes.Literal, visit: Any, frame: Frame) -> None:
        """Constants are no larger than their source."""
        is_built = any(not isinstance(part, nodes.Literal) for part in node.find_all(nodes.Expr))
        self.write("built(" if is_built else "")
        visit(node, frame)
        self.write(")" if is_built else "")

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        if _escapes(frame):
            self.write("fits(")
            super().visit_Concat(node, frame)
            self.write(")")
            return
        self.write("join_texts((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")

    def visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> Any:
        """Wrap sums, the outer ones and some of those inside."""
        level, is_written = self._level, self._is_written
        self._is_written = False
        is_sum = isinstance(node, nodes.Add)
        self._level = level + 1 if is_sum else 0
        is_checked = is_sum and level % _CHECK_EVERY == 0
        if is_checked:
            self.write("fits_written(" if is_written else "fits(")
        super().visit(node, *args, **kwargs)
        if is_checked:
            self.write(")")
        self._level = level

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        self._is_written = _is_plain_sum(node, frame)
        if not self._is_written:
            super()._output_child_pre(node, frame, finalize)

    def _output_child_post(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        if not _is_plain_sum(node, frame):
            super()._output_child_post(node, frame, finalize)


def _is_plain_sum(node: nodes.Expr, frame: Frame) -> bool:
    return isinstance(node, nodes.Add) and not _escapes(frame)


def _escapes(frame: Frame) -> bool:
    """Inside `{% autoescape %}`, where text is escaped as it is written."""
    return frame.eval_ctx.volatile or bool(frame.eval_ctx.autoescape)


def add_ticks(template: nodes.Template) -> None:
    """Have everything that is executed more than once look at the clock."""
    for node in template.find_all((nodes.For, nodes.Macro, nodes.CallBlock, nodes.Block)):
        _insert(node, "look")
        if isinstance(node, nodes.For) and node.test is not None:
            # `tick` returns nothing, which is no reason to skip an item.
            ticked = nodes.Not(_call("tick", node), lineno=node.lineno)
            node.test = nodes.And(ticked, node.test, lineno=node.lineno)
    _insert(template, "start")
    for block in template.find_all(nodes.Block):
        _insert(block, "start")


def _insert(node: nodes.Node, name: str) -> None:
    body: list[nodes.Node] = node.body  # type: ignore[attr-defined]  # of those that have one
    body.insert(0, nodes.ExprStmt(_call(name, node), lineno=node.lineno))


def _call(name: str, node: nodes.Node) -> nodes.Expr:
    return nodes.EnvironmentAttribute(name, lineno=node.lineno)
