/** Which branch of which choice a step belongs to. */
import { reaches } from "../edits";
import type { Draft, Json, Path, StepDraft } from "../protocol";
import { ChoiceRow, TextRow } from "./controls";
import { useForm } from "./form";
import { problemsAt } from "./problems";
import type { Option } from "./schema";

interface Props {
  draft: Draft;
  step: StepDraft;
  option: Option;
  path: Path;
  onChange(change: (step: StepDraft) => StepDraft, what: string): void;
}

export function BranchField({ draft, step, option, path, onChange }: Props) {
  const { problems } = useForm();
  const [choice = "", branch = ""] = Array.isArray(step.branch) ? (step.branch as string[]) : [];
  // a branch comes after its choice, so none that comes after this step
  const choosers = draft.steps.filter(
    (one) => one.choice && one.step !== step.step && !reaches(draft.steps, step.step, one.step),
  );
  if (choosers.length === 0 && !choice) return null;
  const names = choosers.map((one) => one.step);
  const known = branchesOf(draft, choice, step.step);

  function choose(name: string) {
    const first = branchesOf(draft, name, step.step)[0] ?? "first";
    onChange(
      (one) => {
        const { branch: _, ...rest } = one;
        if (!name) return rest as StepDraft;
        // where no edge leads to the choice yet, one does now
        const after = reaches(draft.steps, name, one.step) ? one.after : [...one.after, name];
        return { ...rest, after, branch: [name, first] } as StepDraft;
      },
      name ? `in a branch of ${name}` : "in no branch",
    );
  }

  return (
    <div className="sk-union">
      <ChoiceRow
        label={option.label}
        hint={choice ? undefined : option.hint}
        path={path}
        problems={problemsAt(problems, path, choice ? [1] : [])}
        value={choice}
        choices={[
          { value: "", label: "In no branch" },
          ...[...new Set([...names, choice].filter(Boolean))].map((name) => ({
            value: name,
            label: `Of ${name}`,
          })),
        ]}
        onChoose={choose}
      />
      {choice && (
        <TextRow
          label="Name of the branch"
          hint={option.hint}
          path={[...path, 1]}
          problems={problemsAt(problems, [...path, 1])}
          value={branch}
          names={known}
          read={(text) =>
            text.trim() ? { value: text.trim() } : { error: "A branch needs a name; give one" }
          }
          onCommit={(name: Json | undefined) =>
            onChange((one) => ({ ...one, branch: [choice, name] }), `branch ${name}`)
          }
        />
      )}
    </div>
  );
}

function branchesOf(draft: Draft, choice: string, but: string): string[] {
  const all = draft.steps
    .filter((one) => one.step !== but && Array.isArray(one.branch))
    .map((one) => one.branch as string[])
    .filter(([of]) => of === choice);
  return [...new Set(all.map(([, name]) => name!))];
}
