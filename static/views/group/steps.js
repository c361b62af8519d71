// What packages say about themselves, as far as a way from version to version is made of them.

const VERSION = "rdfm.software.version";
const TYPE = "rdfm.hardware.devtype";
const REQUIRES = "requires:";

/** `{id, version, type, from, conditions, isImpossible, state, length}` of a package; `from` is `null` if any version will do. */
export function stepOf({ id, metadata, state, length }) {
    const required = Object.entries(metadata).filter(([key]) => key.startsWith(REQUIRES));
    const from = metadata[REQUIRES + VERSION];
    return {
        id,
        state,
        length,
        version: text(metadata[VERSION]) ?? "",
        type: text(metadata[TYPE]),
        from: text(from),
        conditions: required
            .map(([key, value]) => [key.slice(REQUIRES.length), value])
            .filter(([key, value]) => key !== VERSION || text(value) === null),
        // No device reports a list.
        isImpossible: required.some(([, value]) => text(value) === null),
    };
}

/** What a package is for, in words: its type of device, what it needs, and what is wrong with it. */
export function needsOf({ type, from, conditions, isImpossible }) {
    const cut = (value) => (value.length > 60 ? `${value.slice(0, 60)}…` : value);
    const needs = conditions.map(([key, value]) => `${cut(key)} = ${cut(text(value) ?? JSON.stringify(value))}`);
    return [
        from === null ? "from any version" : `from ${cut(from)}`,
        ...(type === null ? [] : [`for ${cut(type)}`]),
        ...(needs.length > 0 ? [`if ${needs.join(" and ")}`] : []),
        ...(isImpossible ? ["which no device reports"] : []),
    ].join(", ");
}

function text(value) {
    return typeof value === "string" ? value : null;
}
