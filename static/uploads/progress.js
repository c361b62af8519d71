// Uploads that go on, at the bottom of every view.

import { route } from "../router.js";
import { mayChange, session } from "../session.js";
import { bytes, count, span } from "../text.js";
import { html, useEffect, useId, useLayoutEffect, useRef, useState } from "../ui.js";
import { DescribeDialog } from "./describe.js";
import { Progress, Upload } from "./item.js";
import * as queue from "./queue.js";

/** States that are of interest elsewhere than in the view of packages. */
const SHOWN = ["waiting", "sending", "retrying", "paused", "reading", "complete", "publishing", "failed"];

export function UploadsInProgress() {
    const name = mayChange.value ? (session.value.user?.name ?? "") : null;
    useEffect(() => {
        if (name !== null) {
            queue.enter(name);
            return queue.leave;
        }
    }, [name]);
    const shown = queue.uploads.value.filter(({ state }) => SHOWN.includes(state));
    const described = queue.find(queue.toDescribe.value[0]);
    return html`
        ${name !== null && shown.length > 0 && html`<${Strip} uploads=${shown} />`}
        ${described && html`<${DescribeDialog} key=${described.key} upload=${described} />`}
    `;
}

function Strip({ uploads }) {
    const [isOpen, setIsOpen] = useState(false);
    const node = useRef(null);
    const id = useId();
    // That view has all of them anyway.
    const [place, one] = route.value.path;
    const isListed = place === "packages" && one === undefined;
    useLayoutEffect(() => {
        // What else is at the bottom of the page makes room for it.
        const { style } = document.documentElement;
        const observer = new ResizeObserver(() => style.setProperty("--strip-height", `${node.current.offsetHeight}px`));
        observer.observe(node.current);
        return () => {
            observer.disconnect();
            style.removeProperty("--strip-height");
        };
    }, []);
    return html`
        <section class="strip" aria-label="Uploads" ref=${node}>
            <div class="strip-head">
                <p class="strip-says" role="status">${summary(uploads)}</p>
                <${Together} ...${{ uploads }} />
                ${!isListed && html`<button type="button" class="small" aria-expanded=${isOpen} aria-controls=${id} aria-label=${isOpen ? "Hide uploads" : "Show uploads"} onClick=${() => setIsOpen(!isOpen)}>${isOpen ? "Hide" : "Show"}</button>`}
            </div>
            <ul class="uploads" id=${id} hidden=${!isOpen || isListed}>${isOpen && !isListed && uploads.map((upload) => html`<${Upload} key=${upload.key} of=${upload} />`)}</ul>
        </section>
    `;
}

/** What is going on, in words that do not change with every byte: they are read out. */
function summary(uploads) {
    const of = (...states) => uploads.filter(({ state }) => states.includes(state)).length;
    const going = of("waiting", "sending", "retrying", "publishing", "reading");
    const parts = [
        going > 0 && `${count(going, "upload")} going on`,
        of("retrying") > 0 && `${of("retrying")} interrupted`,
        of("paused") > 0 && `${of("paused")} paused`,
        of("complete") > 0 && `${of("complete")} to be published`,
        of("failed") > 0 && `${of("failed")} failed`,
    ];
    const said = parts.filter(Boolean).join(", ");
    return said.charAt(0).toUpperCase() + said.slice(1);
}

/** How far those are that go on, as if they were one. */
function Together({ uploads }) {
    const moving = uploads.filter(({ state }) => ["waiting", "sending", "retrying"].includes(state));
    if (moving.length === 0) {
        return null;
    }
    const sum = (field) => moving.reduce((total, upload) => total + (upload[field] ?? 0), 0);
    const [sent, length, speed] = [sum("sent"), sum("length"), sum("speed")];
    const left = speed > 0 ? ` · ${bytes(speed)}/s · ${span(Math.max(1, (length - sent) / speed))} left` : "";
    return html`
        <div class="strip-together">
            <${Progress} label="All uploads" ...${{ sent, length }} />
            <span class="strip-figures">${Math.floor((sent / length) * 100)} %${left}</span>
        </div>
    `;
}
