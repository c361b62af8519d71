// Forms: fields with labels, what is wrong with them, and what the server says.

import { Refused, Unreachable } from "./api.js";
import * as connection from "./connection.js";
import { asSentence, element } from "./elements.js";

const MIN_PASSWORD_CHARACTERS = 10;

/** A field for the name that somebody logs in with. */
export function nameField(hint) {
    return field({ name: "name", label: "Name", missing: "Type a name.", hint, autocomplete: "username" });
}

/** A field for a password that there is already. */
export function passwordField(name, label) {
    const missing = "Type the password.";
    return secretField({ name, label, missing, autocomplete: "current-password" });
}

/** A field for a password that is being chosen. It is typed once: "Show" is there to look at it. */
export function newPasswordField(name, label) {
    const hint = `At least ${MIN_PASSWORD_CHARACTERS} characters.`;
    const tooShort = `The password is too short: use at least ${MIN_PASSWORD_CHARACTERS} characters.`;
    const complaint = (value) => ([...value].length < MIN_PASSWORD_CHARACTERS ? tooShort : null);
    const missing = "Choose a password.";
    return secretField({ name, label, missing, hint, complaint, autocomplete: "new-password" });
}

/** For password managers, where the name is not asked for. */
export function knownName(name) {
    return element("input", { type: "text", autocomplete: "username", value: name, readOnly: true, hidden: true });
}

function field({ name, label, missing, hint, complaint, autocomplete }) {
    const input = element("input", {
        id: `field-${name}`,
        name,
        type: "text",
        autocomplete,
        autocapitalize: "none",
        spellcheck: false,
        required: true,
    });
    const hintLine = hint && element("p", { id: `hint-${name}`, className: "hint" }, hint);
    const node = element("div", { className: "field" }, element("label", { htmlFor: input.id }, label), input, hintLine);
    describe(input, hintLine);
    const complain = (value) => (value === "" ? missing : (complaint?.(value) ?? null));
    return { input, node, hintLine, complain, conceal: () => {} };
}

function secretField(description) {
    const made = field(description);
    const { input } = made;
    const show = (isShown) => {
        input.type = isShown ? "text" : "password";
        button.textContent = isShown ? "Hide" : "Show";
        button.setAttribute("aria-label", `${button.textContent} ${description.label.toLowerCase()}`);
    };
    const toggle = () => show(input.type === "password");
    const button = element("button", { type: "button", className: "show", "aria-controls": input.id, click: toggle });
    show(false);
    const box = element("div", { className: "secret" });
    input.replaceWith(box);
    box.append(input, button);
    // Browsers offer to save what was sent from a password field, and remember what was sent from any other.
    return { ...made, conceal: () => show(false) };
}

function describe(input, ...lines) {
    const ids = lines.filter(Boolean).map((line) => line.id);
    input.setAttribute("aria-describedby", ids.join(" "));
}

/**
 * A form. `send` gets the values by name; the sentence that it returns is shown, and what it throws. `more` are elements
 * that are no fields. `isOver` says, after a 401, whether the session has ended; then the form has nothing more to say.
 */
export function form({ fields, more = [], label, busyLabel, send, isOver }) {
    const outcome = outcomeLines();
    const button = element("button", { type: "submit", className: "primary" }, label);
    const submit = (event) => {
        event.preventDefault();
        if (isBusy(button) || !check(fields, outcome)) {
            return;
        }
        fields.forEach(({ conceal }) => conceal());
        const values = Object.fromEntries(fields.map(({ input }) => [input.name, input.value]));
        perform({ button, busyLabel, outcome, isOver, action: () => send(values) });
    };
    const parts = [...more, ...fields.map(({ node }) => node), button, outcome.node];
    const node = element("form", { noValidate: true, submit }, ...parts);
    return { node, clear: () => fields.forEach(({ input }) => (input.value = "")) };
}

/** Where is said what came of it. It has its place from the beginning, so that nothing moves when it is needed. */
export function outcomeLines() {
    const alert = element("p", { id: nextId("alert"), className: "alert", role: "alert", tabIndex: -1 });
    const done = element("p", { className: "done", role: "status" });
    const tell = (complaint, success) => {
        alert.textContent = complaint;
        done.textContent = success;
    };
    return { node: element("div", { className: "outcome" }, alert, done), alert, tell };
}

/** Does what a button is for, once at a time, and shows what came of it. */
export async function perform({ button, busyLabel, outcome, isOver, action }) {
    if (isBusy(button)) {
        return;
    }
    const label = button.textContent;
    // Not `disabled`: that would take the focus away.
    button.setAttribute("aria-disabled", "true");
    button.textContent = busyLabel;
    outcome.tell("", "");
    try {
        outcome.tell("", (await action()) ?? "");
    } catch (error) {
        const complaint = await complaintOf(error, isOver);
        if (complaint !== null) {
            outcome.tell(complaint, "");
            outcome.alert.focus();
        }
    } finally {
        button.removeAttribute("aria-disabled");
        button.textContent = label;
    }
}

async function complaintOf(error, isOver) {
    if (error instanceof Unreachable) {
        connection.lost();
        return "The server did not answer: try again when it is back.";
    }
    if (error instanceof Refused) {
        const hasEnded = error.status === 401 && isOver !== undefined && (await isOver());
        return hasEnded ? null : asSentence(error.message);
    }
    console.error(error);
    return "Something is wrong with this page: load it again.";
}

/** Whether all fields can be sent; says what is wrong with the first that cannot. */
function check(fields, { alert, tell }) {
    tell("", "");
    for (const { input, hintLine } of fields) {
        input.removeAttribute("aria-invalid");
        describe(input, hintLine);
    }
    for (const { input, hintLine, complain } of fields) {
        const complaint = complain(input.value);
        if (complaint !== null) {
            tell(complaint, "");
            input.setAttribute("aria-invalid", "true");
            describe(input, hintLine, alert);
            input.focus();
            return false;
        }
    }
    return true;
}

function isBusy(button) {
    return button.getAttribute("aria-disabled") === "true";
}

let lastId = 0;

function nextId(prefix) {
    lastId += 1;
    return `${prefix}-${lastId}`;
}
