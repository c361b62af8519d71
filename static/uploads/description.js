// What somebody says about a package that is uploaded, and how it is kept until the upload is complete.

export const VERSION = "rdfm.software.version";
export const DEVICE_TYPE = "rdfm.hardware.devtype";
export const REQUIRES = "requires:";
const STORAGE = "rdfm.storage.";
const DIRECTORY = `${STORAGE}directory`;
const SHA256 = `${STORAGE}sha256`;
/** In the browser, by the id of the upload: so a reload of the page does not lose what was typed. */
const KEPT = "tender.uploads";

/** Nothing said: `requires` and `more` are `[key, value]` each. */
export const NOTHING = { version: "", type: "", requires: [], more: [], directory: "", sha256: "" };

/** The description as the package's metadata. What is empty is left to the artifact. */
export function metadataOf({ version, type, requires, more, directory, sha256 }) {
    const pairs = [
        ...more,
        ...requires.map(([key, value]) => [REQUIRES + key, value]),
        [VERSION, version],
        [DEVICE_TYPE, type],
        [DIRECTORY, directory],
        [SHA256, sha256],
    ];
    return Object.fromEntries(pairs.filter(([, value]) => value !== ""));
}

/** What a package requires, of its metadata: `[key, value]` each. */
export function requirementsOf(metadata) {
    const pairs = Object.entries(metadata).filter(([key]) => key.startsWith(REQUIRES));
    return pairs.map(([key, value]) => [key.slice(REQUIRES.length), value]);
}

/** The rest of its metadata. */
export function restOf(metadata) {
    return Object.entries(metadata).filter(([key]) => key !== VERSION && key !== DEVICE_TYPE && !key.startsWith(REQUIRES));
}

/** What is wrong with a key of further metadata, or `null`. */
export function complaintOfKey(key) {
    if (key === VERSION || key === DEVICE_TYPE) {
        return `There is a field for ${key} above.`;
    }
    if (key.startsWith(REQUIRES)) {
        return "Requirements have rows of their own.";
    }
    return key.startsWith(STORAGE) ? `Keys that begin with ${STORAGE} are the server's.` : null;
}

/** What is wrong with a requirement's key, or `null`. */
export function complaintOfRequirement(key) {
    return key.startsWith(REQUIRES) ? `Leave out ${REQUIRES}: it is added.` : null;
}

/** What is wrong with a directory, or `null`: the server's rule, without its limits of length. */
export function complaintOfDirectory(directory) {
    const isPlain = directory.replace(/\/$/, "").split("/").every((name) => /^[\p{L}\p{N}_][\p{L}\p{N}_\-.+@ ]*$/u.test(name));
    return directory === "" || isPlain ? null : "A directory is written as plain names with / between them, such as site-a/images.";
}

/** What is wrong with a hash, or `null`. */
export function complaintOfSha256(sha256) {
    return sha256 === "" || /^[0-9a-f]{64}$/i.test(sha256) ? null : "A SHA-256 is written as 64 hexadecimal digits.";
}

/** Keeps a description for an upload. */
export function keep(id, description) {
    write({ ...kept(), [id]: description });
}

/** The descriptions that are kept, by upload. Those of other uploads than `ids` are forgotten, as they are over. */
export function keptFor(ids) {
    const those = Object.fromEntries(Object.entries(kept()).filter(([id]) => ids.includes(id)));
    write(those);
    return those;
}

function kept() {
    try {
        return JSON.parse(localStorage.getItem(KEPT)) ?? {};
    } catch {
        return {};
    }
}

function write(descriptions) {
    try {
        localStorage.setItem(KEPT, JSON.stringify(descriptions));
    } catch {
        // Without it, a reload asks once more.
    }
}
