// What people and programs did, in words, by the names that the audit log has for it.

/** As it is said of what was done, and of what was not. */
const DEEDS = {
    "device.accept": ["accepted", "accept"],
    "device.name": ["named", "name"],
    "device.assign": ["moved devices to", "move devices to"],
    "device.remove": ["removed", "remove"],
    "device.release": ["let go on", "let go on"],
    "registration.reject": ["rejected", "reject"],
    "package.upload": ["uploaded", "upload"],
    "package.delete": ["deleted", "delete"],
    "upload.begin": ["began", "begin"],
    "upload.continue": ["went on with", "go on with"],
    "upload.discard": ["gave up", "give up"],
    "group.create": ["created", "create"],
    "group.delete": ["deleted", "delete"],
    "group.metadata": ["described", "describe"],
    "group.devices": ["changed the devices of", "change the devices of"],
    "group.packages": ["set the packages of", "set the packages of"],
    "group.policy": ["set the policy of", "set the policy of"],
    "group.rollout": ["set the rollout of", "set the rollout of"],
    "group.resume": ["resumed", "resume"],
    claim: ["claimed the server as", "claim the server"],
    login: ["logged in as", "log in"],
    logout: ["logged out", "log out"],
    "user.add": ["added", "add"],
    "user.remove": ["removed", "remove"],
    "user.disable": ["disabled", "disable"],
    "user.enable": ["enabled", "enable"],
    "user.password": ["set the password of", "set the password of"],
    "user.role": ["set the role of", "set the role of"],
    "client.create": ["created", "create"],
    "client.remove": ["removed", "remove"],
    "client.secret": ["gave a new secret to", "give a new secret to"],
    "authority.rotate": ["began to use", "begin to use"],
    "token.create": ["made", "make"],
    "token.grant": ["got a token as", "get a token"],
    "token.revoke": ["revoked", "revoke"],
    "token.introspect": ["looked at", "look at"],
};

/** What came of it: what that is called, its tone as a chip, and what it means. */
export const OUTCOMES = {
    done: ["Done", "good", "It was done."],
    denied: ["Denied", "notable", "Whoever asked may not do that."],
    refused: ["Refused", "quiet", "It could not be done as it was asked for."],
    failed: ["Failed", "bad", "It was the server's fault."],
};

/** All deeds, with what they are called in a list. */
export const CHOICES = Object.keys(DEEDS).map((action) => [action, labelOf(action)]);

function labelOf(action) {
    const [subject, verb] = action.split(".");
    const words = verb === undefined ? subject : `${subject}: ${verb}`;
    return words.charAt(0).toUpperCase() + words.slice(1);
}

/** What somebody did or wanted to do, before what they did it to: `created`, `wanted to create`. */
export function deedOf(action, outcome) {
    const [done, undone] = DEEDS[action] ?? [labelOf(action).toLowerCase(), labelOf(action).toLowerCase()];
    return outcome === "done" ? done : `wanted to ${undone}`;
}

/** What something is called that was done to: `{words, path}` with the way to it, if the page has one. */
export function objectOf(target) {
    const [, kind, name] = /^(\w+)\/(.+)$/.exec(target) ?? [];
    if (kind === undefined) {
        return { words: target, path: null };
    }
    const isHere = ["device", "group", "package"].includes(kind) && /^\d+$/.test(name);
    return { words: `${kind} ${name}`, path: isHere ? [`${kind}s`, name] : null };
}

/** Who did it. */
export function actorOf({ kind, name }) {
    if (name === "") {
        return kind === "anonymous" ? "Somebody" : kind;
    }
    const kinds = { client: "Client ", token: "Token ", "command-line": "Command line of " };
    return `${kinds[kind] ?? ""}${name}`;
}
