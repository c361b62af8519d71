// The server's API: each call returns what the server says, or throws Refused or Unreachable.

const API = "/api/tender/v1/";
// A login waits longer the more have failed before it.
const PATIENCE_MS = 60_000;
const SHORT_PATIENCE_MS = 10_000;

/** The server said no, and why. */
export class Refused extends Error {
    constructor(status, sentence) {
        super(sentence);
        this.status = status;
    }
}

/** There is no server, or something that is not this server answers in its place. */
export class Unreachable extends Error {}

async function call(method, path, body, patience = PATIENCE_MS) {
    let response;
    let reply;
    try {
        response = await fetch(API + path, {
            method,
            // `mode` stays "cors": in the others, browsers keep the `Origin` header to themselves, and the server asks for it.
            headers: body === undefined ? {} : { "Content-Type": "application/json" },
            body: JSON.stringify(body),
            cache: "no-store",
            signal: AbortSignal.timeout(patience),
        });
        reply = await response.json();
    } catch (error) {
        throw new Unreachable("the server does not answer", { cause: error });
    }
    if (!response.ok) {
        throw new Refused(response.status, String(reply?.error ?? "the server refused, and did not say why"));
    }
    return reply;
}

/** Who is logged in: `{claimable, user: null | {name, role}}`. */
export const session = () => call("GET", "session", undefined, SHORT_PATIENCE_MS);

/** Logs somebody in; returns the session. */
export const logIn = (name, password) => call("POST", "session", { name, password });

/** Ends this session. */
export const logOut = () => call("DELETE", "session");

/** Ends all sessions of whoever is logged in. */
export const logOutEverywhere = () => call("DELETE", "sessions");

/** Changes the password; returns the session, which is the only one that goes on. */
export const changePassword = (current, fresh) => call("POST", "session/password", { current, new: fresh });

/** Makes somebody the first administrator; returns their session. */
export const claim = (code, name, password) => call("POST", "claim", { code, name, password });

/** Whether the server answers. Without the cookie: a page that is merely open must not keep a session from ending. */
export async function answers() {
    try {
        const signal = AbortSignal.timeout(SHORT_PATIENCE_MS);
        const response = await fetch("/", { method: "HEAD", credentials: "omit", cache: "no-store", signal });
        return response.ok;
    } catch {
        return false;
    }
}
