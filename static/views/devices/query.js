// Which devices are asked for: the address says it, in the words of the API. `without` is `type` or `version`: devices that do not
// report it, as an empty value has no place in an address.

import { EMPTY } from "../../api.js";
import { FIRST_PAGE } from "../../parts/paging.js";

const PAGE_LENGTH = 100;
/** What narrows the list down. */
const FILTERS = ["search", "state", "group", "type", "version", "without"];

/** The parameters of the API for those of the address. */
export function asked({ without, from: _, ...parameters }) {
    const lacking = without === "type" || without === "version" ? { [without]: EMPTY } : {};
    return { limit: PAGE_LENGTH, ...parameters, ...lacking };
}

/** Whether anything narrows the list down. */
export function isNarrow(parameters) {
    return FILTERS.some((name) => (parameters[name] ?? "") !== "");
}

/** What clears all filters. */
export const CLEARED = { ...Object.fromEntries(FILTERS.map((name) => [name, undefined])), ...FIRST_PAGE };
