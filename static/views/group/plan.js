// What a group is to run and what leads there: its policy and its packages, as they are or as somebody would have them, and what
// either means for the devices.

import * as api from "../../api.js";
import { isOf, useData } from "../../data.js";
import { ActionButton, Outcome, say, useOutcome } from "../../parts/outcome.js";
import { Card, Loaded, focusHeading } from "../../parts/page.js";
import { mayChange } from "../../session.js";
import { html } from "../../ui.js";
import { changedMeanwhile, changeOf, discard, draftOf, revise, save, targetOf } from "./draft.js";
import { GraphCard } from "./graph.js";
import { PackagesPart } from "./packages.js";
import { PolicyPart } from "./policy.js";
import { Preview } from "./preview.js";
import { stepOf } from "./steps.js";

/** Previews count devices by what they report: only what changes that, or who is in the group, makes for another. */
function concernsPreview(message) {
    const isOther = message.type === "devices" && (message.many || message.changed?.length > 0);
    return isOther || isOf(message, "group", "device", "package") || message.type === "attempt.succeeded";
}

export function Plan({ group, packages }) {
    const draft = draftOf(group.id);
    const change = changeOf(draft ?? {});
    const shown = { ...group, ...change };
    const isUnfinished = targetOf(shown.policy)?.trim() === "";
    const steps = new Map(packages.map((entry) => [entry.id, stepOf(entry)]));
    const edit = mayChange.value ? (part) => revise(group, part) : null;
    const isDraft = draft !== null;
    // While nobody has typed the version, the rest can be seen already.
    const of = usePreviews(group.id, isUnfinished ? { ...change, policy: group.policy } : change);
    const preview = ({ now, planned }) => html`<${Preview} ...${{ now, planned, isDraft, steps }} />`;
    return html`
        <div class=${isDraft ? "plan drafted" : "plan"}>
            <div class="columns">
                <${Card} title="What its devices are to run">
                    <${PolicyPart} policy=${shown.policy} steps=${shown.packages.map((id) => steps.get(id)).filter(Boolean)} ...${{ edit }} />
                    <${PackagesPart} chosen=${shown.packages} ...${{ steps, edit }} />
                <//>
                <${Card} title=${isDraft ? "What that would mean" : "What that means"}><${Loaded} ...${{ of }} show=${preview} /><//>
            </div>
            ${isDraft && html`<${DraftBar} ...${{ group, draft, isUnfinished }} />`}
        </div>
        <${GraphCard} ...${{ group, steps, shown, isDraft }} preview=${of.data?.planned} />
    `;
}

/** What comes of the group as it is, and of the change. */
function usePreviews(id, change) {
    const fetch = async () => {
        const now = await api.preview(id, {});
        return { now, planned: Object.keys(change).length === 0 ? now : await api.preview(id, change) };
    };
    return useData(`preview/${id}/${JSON.stringify(change)}`, fetch, concernsPreview);
}

/** Says that there is something to save, and saves it. */
function DraftBar({ group, draft, isUnfinished }) {
    const outcome = useOutcome();
    const others = outcome.isBusy ? [] : changedMeanwhile(draft, group);
    const isReplaced = others.some((part) => draft[part] !== undefined);
    const consequence = isReplaced ? "Saving your draft replaces that." : "The preview counts with it.";
    const parts = [draft.policy !== undefined && "version", draft.packages !== undefined && "packages"].filter(Boolean).join(" and ");
    const commit = async () => {
        if (isUnfinished) {
            return outcome.complain("Type the version that the devices are to reach.");
        }
        await save(group, draft);
        say("The changes are saved.");
        focusHeading();
    };
    const giveUp = () => {
        discard(group.id);
        focusHeading();
    };
    return html`
        <section class="draft-bar" aria-label="Changes that are not saved">
            <p class="draft-words">
                <strong>Not saved yet:</strong> ${parts}.
                <span class="draft-others" role="status">
                    ${others.length > 0 && ` Somebody else has changed the ${others.join(" and the ")} meanwhile. ${consequence}`}
                </span>
            </p>
            <div class="actions">
                <${ActionButton} of=${outcome} act=${commit} label="Save" busyLabel="Saving…" class="primary" />
                <button type="button" onClick=${giveUp}>Discard</button>
            </div>
            <${Outcome} of=${outcome} />
        </section>
    `;
}
