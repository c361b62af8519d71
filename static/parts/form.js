// Forms: fields with labels, what is wrong with them, and what the server says.

import { html, createContext, useContext, useEffect, useLayoutEffect, useRef, useState } from "../ui.js";
import { Outcome, useOutcome } from "./outcome.js";

const MIN_PASSWORD_CHARACTERS = 10;

/** What fields know of their form: where they say how they are checked, and which of them is wrong. */
const FormContext = createContext(null);

/**
 * A form. `send` gets the values by name (of several fields with one name, the last); the sentence that it returns is shown, and what
 * it throws. `clears`: the fields are empty again when that went well.
 */
export function Form({ label, busyLabel, send, clears = false, isDangerous = false, actions, children }) {
    const outcome = useOutcome();
    const checks = useRef(new Map());
    const node = useRef(null);
    const [wrong, setWrong] = useState(null);

    const submit = (event) => {
        event.preventDefault();
        if (outcome.isBusy) {
            return;
        }
        const values = Object.fromEntries(new FormData(node.current));
        for (const [name, { complain, conceal }] of checks.current) {
            const complaint = complain(String(values[name] ?? ""));
            if (complaint !== null) {
                outcome.complain(complaint);
                setWrong(name);
                node.current.elements[name].focus();
                return;
            }
            conceal?.();
        }
        setWrong(null);
        outcome.attempt(async () => {
            const sentence = await send(values);
            if (clears) {
                node.current?.reset();
            }
            return sentence;
        });
    };
    const known = { checks: checks.current, wrong, alertId: outcome.id };
    return html`
        <form novalidate ref=${node} onSubmit=${submit}>
            <${FormContext.Provider} value=${known}>${children}<//>
            <div class="actions">
                <button type="submit" class=${isDangerous ? "danger" : "primary"} aria-disabled=${outcome.isBusy ? "true" : null}>
                    ${outcome.isBusy ? busyLabel : label}
                </button>
                ${actions}
            </div>
            <${Outcome} of=${outcome} />
        </form>
    `;
}

/**
 * What fields of all kinds have in common: a label, a hint, and what is wrong. `complaint(value)` says that, or `null`; `missing` is
 * said of an empty field, which is right if there is none. `control` draws the field with the attributes that it gets.
 */
export function Labelled({ name, label, hint, missing, complaint, conceal, control }) {
    const { checks, wrong, alertId } = useContext(FormContext);
    const check = useRef(null);
    check.current = (value) => (value === "" && missing !== undefined ? missing : (complaint?.(value) ?? null));
    useEffect(() => {
        checks.set(name, { complain: (value) => check.current(value), conceal });
        return () => checks.delete(name);
    }, [name]);
    const id = `field-${name}`;
    const hintId = `hint-${name}`;
    const isWrong = wrong === name;
    const describing = [hint && hintId, isWrong && alertId].filter(Boolean).join(" ");
    return html`
        <div class="field">
            <label for=${id}>${label}</label>
            ${control({ id, name, "aria-invalid": isWrong ? "true" : null, "aria-describedby": describing || null })}
            ${hint && html`<p id=${hintId} class="hint">${hint}</p>`}
        </div>
    `;
}

/** A field for a line of text. Further attributes are the input's; `value` is what it holds at first. */
export function TextField({ name, label, hint, missing, complaint, value, ...attributes }) {
    const control = (described) =>
        html`<input type="text" autocapitalize="none" spellcheck=${false} defaultValue=${value ?? ""} ...${attributes} ...${described} />`;
    return html`<${Labelled} ...${{ name, label, hint, missing, complaint, control }} />`;
}

/** A field for several lines of text. */
export function TextArea({ name, label, hint, missing, complaint, value, ...attributes }) {
    const control = (described) =>
        html`<textarea spellcheck=${false} defaultValue=${value ?? ""} ...${attributes} ...${described}></textarea>`;
    return html`<${Labelled} ...${{ name, label, hint, missing, complaint, control }} />`;
}

/** A choice of `options`: `[value, label]` each. */
export function SelectField({ name, label, hint, options, value, ...attributes }) {
    const control = (described) => html`
        <select ...${attributes} ...${described}>
            ${options.map(([key, text]) => html`<option key=${key} value=${key} selected=${String(key) === String(value)}>${text}</option>`)}
        </select>
    `;
    return html`<${Labelled} ...${{ name, label, hint, control }} />`;
}

/** A field for the name that somebody logs in with. */
export function NameField({ hint }) {
    return html`<${TextField} name="name" label="Name" missing="Type a name." hint=${hint} autocomplete="username" required />`;
}

/** A field for a password that there is already. */
export function PasswordField({ name, label }) {
    return html`<${SecretField} ...${{ name, label }} missing="Type the password." autocomplete="current-password" />`;
}

/** A field for a password that is being chosen. It is typed once: "Show" is there to look at it. */
export function NewPasswordField({ name, label }) {
    const hint = `At least ${MIN_PASSWORD_CHARACTERS} characters.`;
    const tooShort = `The password is too short: use at least ${MIN_PASSWORD_CHARACTERS} characters.`;
    const complaint = (value) => ([...value].length < MIN_PASSWORD_CHARACTERS ? tooShort : null);
    return html`<${SecretField} ...${{ name, label, hint, complaint }} missing="Choose a password." autocomplete="new-password" />`;
}

/** For password managers, where the name is not asked for. */
export function KnownName({ name }) {
    return html`<input type="text" autocomplete="username" value=${name} readonly hidden />`;
}

function SecretField({ name, label, hint, missing, complaint, autocomplete }) {
    const [isShown, setIsShown] = useState(false);
    const input = useRef(null);
    // Browsers offer to save what was sent from a password field, and remember what was sent from any other.
    const conceal = () => {
        input.current.type = "password";
        setIsShown(false);
    };
    useLayoutEffect(() => {
        input.current.type = isShown ? "text" : "password";
    }, [isShown]);
    const says = isShown ? "Hide" : "Show";
    const control = (described) => html`
        <div class="secret">
            <input ref=${input} type="password" autocapitalize="none" spellcheck=${false} autocomplete=${autocomplete} required ...${described} />
            <button type="button" class="show" aria-controls=${described.id} aria-label=${`${says} ${label.toLowerCase()}`} onClick=${() => setIsShown(!isShown)}>
                ${says}
            </button>
        </div>
    `;
    return html`<${Labelled} ...${{ name, label, hint, missing, complaint, conceal, control }} />`;
}
