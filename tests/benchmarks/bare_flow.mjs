// React Flow as its own first example has it, with the nodes and edges that the page is given:
// what the canvas of a widget is measured beside. `show` gives nodes another look, by their ids.
import { createElement, useState } from "react";
import { createRoot } from "react-dom/client";
import { ReactFlow, applyEdgeChanges, applyNodeChanges } from "@xyflow/react";
import "@xyflow/react/dist/style.css";

const { nodes: given, edges: lines, viewport } = globalThis.given;

function Bare() {
  const [nodes, setNodes] = useState(given);
  const [edges, setEdges] = useState(lines);
  globalThis.show = (looks) =>
    setNodes((old) => old.map((node) => (node.id in looks ? { ...node, ...looks[node.id] } : node)));
  return createElement(ReactFlow, {
    nodes,
    edges,
    onNodesChange: (changes) => setNodes((old) => applyNodeChanges(changes, old)),
    onEdgesChange: (changes) => setEdges((old) => applyEdgeChanges(changes, old)),
    defaultViewport: viewport,
    minZoom: 0.01,
  });
}

createRoot(document.getElementById("bare")).render(createElement(Bare));
