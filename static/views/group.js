// Group: what it wants of its devices, what leads them there, how that goes on, and who they are.

import * as api from "../api.js";
import { isOf, useData } from "../data.js";
import { ActionButton, Outcome, say, useOutcome } from "../parts/outcome.js";
import { Card, Loaded, Page, focusHeading } from "../parts/page.js";
import { Moment, Text } from "../parts/values.js";
import { to } from "../router.js";
import { mayChange } from "../session.js";
import { count } from "../text.js";
import { html, useState } from "../ui.js";
import { DeleteGroup } from "./group/delete.js";
import { Members } from "./group/members.js";
import { EditMetadata } from "./group/metadata.js";
import { descriptionOf, groupTitle } from "./group/names.js";
import { Plan } from "./group/plan.js";
import { RolloutCard } from "./group/rollout.js";
import { Stops } from "./group/stops.js";

export function Group({ id }) {
    const group = useData(`group/${id}`, () => api.group(id), (message) => isOf(message, "group", "device", "attempt"));
    const packages = useData("packages", () => api.all(api.packages, "packages"), (message) => isOf(message, "package"));
    const [dialog, setDialog] = useState(null);
    const close = () => setDialog(null);
    const found = group.complaint === null ? group.data : undefined;
    const actions = html`
        <button type="button" onClick=${() => setDialog("edit")}>Edit</button>
        <button type="button" class="danger" onClick=${() => setDialog("delete")}>Delete…</button>
    `;
    return html`<${Page}
        title=${found === undefined ? `Group ${id}` : groupTitle(found)}
        above=${html`<a class="back" href=${to(["groups"])}>All groups</a>`}
        actions=${mayChange.value && found !== undefined && actions}
    >
        <${Loaded} of=${group} show=${(group) => html`<${Whole} ...${{ group, packages }} />`} />
        ${dialog === "edit" && found !== undefined && html`<${EditMetadata} group=${found} ...${{ close }} />`}
        ${dialog === "delete" && found !== undefined && html`<${DeleteGroup} group=${found} ...${{ close }} />`}
    <//>`;
}

function Whole({ group, packages }) {
    const description = descriptionOf(group);
    return html`
        ${description !== null && html`<p class="group-description"><${Text} of=${description} /></p>`}
        <div class="group-stops"><${Stops} ...${{ group }} /></div>
        ${group.halted !== null && html`<${Halted} ...${{ group }} />`}
        <${Loaded} of=${packages} show=${(packages) => html`<${Plan} ...${{ group, packages }} />`} />
        <${Members} ...${{ group }} />
        <${RolloutCard} ...${{ group }} />
        <${About} ...${{ group }} />
    `;
}

/** Too many devices have failed, and a person has to say that it may go on. */
function Halted({ group }) {
    const outcome = useOutcome();
    const { progress } = group.rollout;
    const resume = async () => {
        await api.resumeGroup(group.id);
        say("Packages are offered again.");
        focusHeading();
    };
    const next = mayChange.value && ", and resume when it is mended: those on which something failed may try again, too";
    const failing = to(["devices"], { group: group.id, state: "failing" });
    return html`
        <${Card} title="This group is halted" class="card halted">
            <p>
                ${count(progress.failed, "device")} of ${progress.failed + progress.reached} failed on the way to
                ${" "}<bdi>${group.target ?? "the version"}</bdi>, so nothing is offered any more
                ${progress.halted_since !== null && html`${" "}since <${Moment} at=${progress.halted_since} />`}.
                ${" "}<a href=${failing}>See the devices</a>${next}.
            </p>
            ${mayChange.value && html`<${ActionButton} of=${outcome} act=${resume} label="Resume" busyLabel="Resuming…" class="primary" />`}
            <${Outcome} of=${outcome} />
        <//>
    `;
}

function About({ group }) {
    const { name, description, ...others } = group.metadata;
    if (Object.keys(others).length === 0) {
        return null;
    }
    return html`<${Card} title="Further metadata"><pre class="json"><${Text} of=${JSON.stringify(others, null, 4)} /></pre><//>`;
}
