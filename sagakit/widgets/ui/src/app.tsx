import { useEffect, useState } from "react";
import { Background, Controls, ReactFlow, ReactFlowProvider } from "@xyflow/react";
import type { Model } from "./model";
import type { State } from "./protocol";
import { layout } from "./layout";

const size = () => ({ width: 180, height: 56 });

export function App({ model }: { model: Model }) {
  const [state, setState] = useState(model.get("state") as State);
  useEffect(() => {
    const changed = () => setState(model.get("state") as State);
    model.on("change:state", changed);
    return () => model.off("change:state", changed);
  }, [model]);
  const steps = state.draft?.steps ?? [];
  const places = layout(steps, size);
  const nodes = steps.map(({ step }) => {
    const [x, y] = places.get(step)!;
    return { id: step, position: { x, y }, data: { label: step }, width: 180, height: 56 };
  });
  const edges = steps.flatMap(({ step, after }) =>
    after.map((before) => ({ id: `${before}→${step}`, source: before, target: step })),
  );
  return (
    <div className="sk-root">
      <ReactFlowProvider>
        <ReactFlow nodes={nodes} edges={edges} fitView proOptions={{ hideAttribution: true }}>
          <Background />
          <Controls />
        </ReactFlow>
      </ReactFlowProvider>
    </div>
  );
}
