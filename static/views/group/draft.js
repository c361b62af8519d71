// Changes of a group's packages and policy that are not saved yet. They outlive the view: who looks at a package in between
// finds them again.

import * as api from "../../api.js";
import { signal } from "../../ui.js";

export const NO_UPDATE = "no_update,";
const EXACT_MATCH = "exact_match,";

/** By the group's id: `{packages?, policy?, base}`, with what is to change, and what the group had when that was begun. */
const drafts = signal({});

/** The draft for a group; `null`: nothing is to change. */
export function draftOf(id) {
    return drafts.value[id] ?? null;
}

/** Changes a draft, or begins one. What is again as the group has it is no change. */
export function revise(group, change) {
    const { packages: had, policy: wanted } = group;
    const { base = { packages: had, policy: wanted }, ...before } = draftOf(group.id) ?? {};
    const { packages, policy } = { ...before, ...change };
    const draft = {
        ...(packages !== undefined && !isSame(packages, had) && { packages }),
        ...(policy !== undefined && policy !== wanted && { policy }),
    };
    keep(group.id, Object.keys(draft).length === 0 ? undefined : { ...draft, base });
}

export function discard(id) {
    keep(id, undefined);
}

function keep(id, draft) {
    drafts.value = { ...drafts.value, [id]: draft };
}

/** What the draft changes, as the server wants it. */
export function changeOf({ packages, policy } = {}) {
    return { ...(packages && { packages }), ...(policy && { policy }) };
}

/** Which parts of the group somebody else has changed since the draft was begun. */
export function changedMeanwhile(draft, group) {
    return [!isSame(draft.base.packages, group.packages) && "packages", draft.base.policy !== group.policy && "policy"].filter(Boolean);
}

/**
 * Saves a draft. The server takes packages and policy one after the other, and devices may ask in between. They must not be led to
 * the old target by packages that were chosen for the new one, nor to the new target by packages that are to go. So where both
 * change from one target to another, nothing is wanted of the devices in between; where there is no target before or after, that
 * is the side on which the packages change.
 */
export async function save(group, draft) {
    const { packages, policy } = draft;
    // If a package is gone meanwhile, say so before anything is changed.
    await api.preview(group.id, changeOf(draft));
    const isBoth = packages !== undefined && policy !== undefined;
    let base = { packages: group.packages, policy: group.policy };
    const setPolicy = async (next) => {
        await api.setGroupPolicy(group.id, next);
        base = { ...base, policy: next };
    };
    const setPackages = async () => {
        await api.setGroupPackages(group.id, packages);
        base = { ...base, packages };
    };
    try {
        if (isBoth && group.policy !== NO_UPDATE) {
            await setPolicy(NO_UPDATE);
        }
        if (packages !== undefined) {
            await setPackages();
        }
        if (policy !== undefined && base.policy !== policy) {
            await setPolicy(policy);
        }
    } catch (error) {
        // What is not saved stays a draft of what the group has now.
        keep(group.id, { ...draft, base });
        if (base.policy !== group.policy) {
            error.message += "; until you save again, nothing is wanted of the devices";
        }
        throw error;
    }
    discard(group.id);
}

/** The version that a policy names; `null`: none. It is empty while nobody has typed it. */
export function targetOf(policy) {
    return policy.startsWith(EXACT_MATCH) ? policy.slice(EXACT_MATCH.length) : null;
}

export function policyFor(target) {
    return target === null ? NO_UPDATE : EXACT_MATCH + target;
}

/** A list with the entry at one place at another. */
export function moved(list, from, to) {
    const rest = list.filter((_, position) => position !== from);
    return [...rest.slice(0, to), list[from], ...rest.slice(to)];
}

function isSame(one, other) {
    return one.length === other.length && one.every((entry, position) => entry === other[position]);
}
