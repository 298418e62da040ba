"""Pictures of plain data: flows, timelines, sequences. No IO but saving, and nothing of sagas."""

from sagakit.views.bars import Bar, Mark, Stretch
from sagakit.views.chart import Chart
from sagakit.views.charts import (
    Reach,
    compensation_funnel,
    duration_histogram,
    latency_over_time,
    most_retried_steps,
    retry_heatmap,
    self_time,
    slowest_steps,
)
from sagakit.views.compare import compare_alt, compare_picture, compare_svg, compare_table
from sagakit.views.contrasts import Contrast, Course, contrasts
from sagakit.views.dot import flow_dot
from sagakit.views.er import er_picture
from sagakit.views.er_data import ErBox, ErEnd, ErLine, ErRow
from sagakit.views.flow import FlowEngine, flow_picture, flow_svg
from sagakit.views.flow_words import flow_alt, flow_table
from sagakit.views.matrix import Field, matrix_picture
from sagakit.views.nodes import Flow, FlowNode, fan_out
from sagakit.views.outcomes import outcome_heatmap
from sagakit.views.picture import Mermaid, Picture
from sagakit.views.render import dot_svg
from sagakit.views.rules import RuleCall, RuleRow, calls_text, rules_picture
from sagakit.views.sequence import Message, sequence_mermaid
from sagakit.views.sequence_svg import sequence_picture
from sagakit.views.style import COMPENSATION_STATES, KINDS, MARKS, STATES, STATUSES, legend
from sagakit.views.timeline import timeline_picture, timeline_svg
from sagakit.views.timeline_words import timeline_alt, timeline_table

__all__ = [
    "COMPENSATION_STATES",
    "KINDS",
    "MARKS",
    "STATES",
    "STATUSES",
    "Bar",
    "Chart",
    "Contrast",
    "Course",
    "ErBox",
    "ErEnd",
    "ErLine",
    "ErRow",
    "Field",
    "Flow",
    "FlowEngine",
    "FlowNode",
    "Mark",
    "Mermaid",
    "Message",
    "Picture",
    "Reach",
    "RuleCall",
    "RuleRow",
    "Stretch",
    "calls_text",
    "compare_alt",
    "compare_picture",
    "compare_svg",
    "compare_table",
    "compensation_funnel",
    "contrasts",
    "dot_svg",
    "duration_histogram",
    "er_picture",
    "fan_out",
    "flow_alt",
    "flow_dot",
    "flow_picture",
    "flow_svg",
    "flow_table",
    "latency_over_time",
    "legend",
    "matrix_picture",
    "most_retried_steps",
    "outcome_heatmap",
    "retry_heatmap",
    "rules_picture",
    "self_time",
    "sequence_mermaid",
    "sequence_picture",
    "slowest_steps",
    "timeline_alt",
    "timeline_picture",
    "timeline_svg",
    "timeline_table",
]
