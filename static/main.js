// The page: which view is shown, and when that changes.

import * as api from "./api.js";
import * as connection from "./connection.js";
import { asSentence } from "./elements.js";
import { account } from "./views/account.js";
import { claim } from "./views/claim.js";
import { logIn } from "./views/log_in.js";
import { unclaimed } from "./views/unclaimed.js";

const SESSION_ENDED = "Your session has ended: log in again.";
const CLAIMED_ALREADY =
    "This claim address is not good any more: the server has its administrator already, or the address is too old. " +
    "If nobody can log in, restart the server: it prints a new one.";

const place = document.getElementById("view");
/** The claim code, from the address that the server printed. It is nowhere else. */
let code = takeCode();
let shown = { key: null, user: null };
/** Counts what was learnt of the session: an answer that comes after a later one is out of date. */
let turn = 0;

/** Takes the code out of the address bar, where people would copy it from or read it over a shoulder. */
function takeCode() {
    const found = new URLSearchParams(location.hash.slice(1)).get("claim");
    if (found !== null) {
        history.replaceState(null, "", location.pathname + location.search);
    }
    return found;
}

/** Asks who is logged in, and shows the view for that. */
async function look() {
    turn += 1;
    const mine = turn;
    let session;
    try {
        session = await api.session();
    } catch (error) {
        connection.lost(error instanceof api.Refused ? asSentence(error.message) : undefined);
        return;
    }
    connection.found();
    if (mine === turn) {
        show(session, null);
    }
}

/** Somebody is logged in now. */
function entered(session) {
    turn += 1;
    show(session, null);
}

/** Nobody is logged in now. */
function left(notice) {
    turn += 1;
    show({ claimable: false, user: null }, asSentence(notice));
}

/** Whether nobody is logged in any more; then the view has changed. */
async function isOver() {
    await look();
    return shown.user === null;
}

function show({ claimable, user }, reason) {
    let notice = reason;
    if (code !== null && !claimable) {
        code = null;
        // Whoever has just used it knows.
        notice ??= user !== null && shown.view === claim ? null : CLAIMED_ALREADY;
    }
    if (shown.user !== null && user === null) {
        notice ??= SESSION_ENDED;
    }
    const view = choose(claimable, user);
    const key = JSON.stringify([view.name, user, view === claim ? code : null]);
    // What somebody is typing stays as long as nothing has changed.
    if (key === shown.key && notice === null) {
        return;
    }
    const { title, node } = view({ user, code, notice, entered, left, isOver });
    const isFirst = shown.key === null;
    shown = { key, user, view };
    place.replaceChildren(node);
    document.title = `${title} – tender`;
    focusIn(node, view, isFirst);
}

function choose(claimable, user) {
    if (user !== null) {
        return account;
    }
    if (claimable) {
        return code === null ? unclaimed : claim;
    }
    return logIn;
}

/** The first field is where one goes on; views that are read first begin at their heading. */
function focusIn(node, view, isFirst) {
    const field = view === account ? null : node.querySelector("input");
    if (field !== null) {
        const described = [field.getAttribute("aria-describedby"), node.querySelector("#notice")?.id];
        field.setAttribute("aria-describedby", described.filter(Boolean).join(" "));
        field.focus();
    } else if (!isFirst) {
        node.querySelector("h1").focus();
    }
}

addEventListener("hashchange", () => {
    const found = takeCode();
    if (found !== null) {
        code = found;
        look();
    }
});
// Much may have happened while nobody looked: another window logged out, the session ended.
document.addEventListener("visibilitychange", () => document.hidden || look());
addEventListener("pageshow", (event) => event.persisted && look());
connection.watch(look);
look();
