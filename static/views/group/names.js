// What groups are called, where there is little room.

import { groupName } from "../../text.js";

const TITLE_LENGTH = 80;

export function groupTitle(group) {
    const name = groupName(group);
    return name.length > TITLE_LENGTH ? `${name.slice(0, TITLE_LENGTH)}…` : name;
}

/** The description, if the group is not called after it already. */
export function descriptionOf(group) {
    const { description } = group.metadata;
    return typeof description === "string" && description.trim() !== "" && description !== groupName(group) ? description : null;
}
