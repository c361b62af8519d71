// The server's API: each call returns what the server says, or throws Refused or Unreachable.

const OWN = "/api/tender/v1/";
const FROZEN = "/api/v1/";
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
        response = await fetch(path, {
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

const get = (path, parameters) => call("GET", OWN + path + query(parameters));
const post = (path, body) => call("POST", OWN + path, body);
const put = (path, body) => call("PUT", OWN + path, body);

/** The value of a parameter that asks for what has none, where one that is just missing asks for all. */
export const EMPTY = { toString: () => "" };

/** Parameters of a request, without those that have no value. */
export function query(parameters = {}) {
    const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== "");
    return given.length === 0 ? "" : `?${new URLSearchParams(given)}`;
}

/** All entries of a list that comes in pages: `fetchPage` gets the parameters, `name` is the list's in the reply. */
export async function all(fetchPage, name, parameters = {}) {
    const entries = [];
    let page = { next: undefined };
    do {
        page = await fetchPage({ limit: 1000, ...parameters, after: page.next });
        entries.push(...page[name]);
    } while (page.next !== null);
    return entries;
}

// People

/** Who is logged in: `{setup: "open" | "expired" | "done", authentication: boolean, user: null | {name, role}}`. */
export const session = () => call("GET", `${OWN}session`, undefined, SHORT_PATIENCE_MS);
/** Logs somebody in; returns the session. */
export const logIn = (name, password) => post("session", { name, password });
/** Ends this session. */
export const logOut = () => call("DELETE", `${OWN}session`);
/** Ends all sessions of whoever is logged in. */
export const logOutEverywhere = () => call("DELETE", `${OWN}sessions`);
/** Changes the password; returns the session, which is the only one that goes on. */
export const changePassword = (current, fresh) => post("session/password", { current, new: fresh });
/** Makes somebody the first administrator; returns their session. */
export const claim = (code, name, password) => post("claim", { code, name, password });

// The server

/** The address of the stream of events. */
export const eventsUrl = (recent) => `${OWN}events${query({ recent })}`;
export const status = () => get("status");
export const overview = () => get("overview");
export const audit = (parameters) => get("audit", parameters);

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

// Devices

export const devices = (parameters) => get("devices", parameters);
export const device = (id) => get(`devices/${id}`);
export const decision = (id) => get(`devices/${id}/decision`);
export const deviceAttempts = (id, parameters) => get(`devices/${id}/attempts`, parameters);
export const attempts = (parameters) => get("attempts", parameters);
export const nameDevice = (id, name) => put(`devices/${id}/name`, { name });
export const assignDevices = (devices, group) => post("devices/assign", { devices, group });
export const removeDevices = (devices) => post("devices/remove", { devices });
export const releaseDevice = (id) => post(`devices/${id}/release`);

export const registrations = (parameters) => get("registrations", parameters);
export const acceptRegistrations = (registrations) => post("registrations/accept", { registrations });
export const rejectRegistrations = (registrations) => post("registrations/reject", { registrations });

// Packages

export const packages = (parameters) => get("packages", parameters);
export const packageById = (id) => get(`packages/${id}`);
/** What the frozen API says of packages: when they were uploaded, their SHA-256, and where their files are. */
export const storedPackages = () => call("GET", `${FROZEN}packages`);
export const storedPackage = (id) => call("GET", `${FROZEN}packages/${id}`);
export const deletePackage = (id) => call("DELETE", `${FROZEN}packages/${id}`);

// Groups

export const groups = () => get("groups");
export const group = (id) => get(`groups/${id}`);
export const createGroup = (metadata) => call("POST", `${FROZEN}groups`, metadata);
export const deleteGroup = (id) => call("DELETE", `${FROZEN}groups/${id}`);
export const setGroupMetadata = (id, metadata) => put(`groups/${id}/metadata`, metadata);
export const setGroupPackages = (id, packages) => call("POST", `${FROZEN}groups/${id}/package`, { packages });
export const setGroupPolicy = (id, policy) => call("POST", `${FROZEN}groups/${id}/policy`, { policy });
export const rollout = (id) => get(`groups/${id}/rollout`);
export const setRollout = (id, rollout) => put(`groups/${id}/rollout`, rollout);
export const resumeGroup = (id) => post(`groups/${id}/resume`);
export const preview = (id, change) => post(`groups/${id}/preview`, change);
