// Making elements. Text is always text here: nothing that the server says can become markup.

/**
 * An element with properties (`className`, `htmlFor`, …), attributes where the name has a dash, listeners where the value
 * is a function, and children: elements, texts, or nothing.
 */
export function element(tag, properties = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
        if (typeof value === "function") {
            made.addEventListener(name, value);
        } else if (name.includes("-") || name === "role") {
            made.setAttribute(name, value);
        } else {
            made[name] = value;
        }
    }
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
}

/** A view: its heading, which also is the window's title, what happened before it, and its parts. */
export function view(title, notice, ...children) {
    const happened = notice && element("p", { id: "notice", className: "notice", role: "status" }, notice);
    const heading = element("h1", { tabIndex: -1 }, title);
    return { title, node: element("div", { className: "view" }, heading, happened, ...children) };
}

/** A part of a view. */
export function card(...children) {
    return element("section", { className: "card" }, ...children);
}

/** The API's sentences begin small and end without a full stop, as they stand in logs too. */
export function asSentence(text) {
    const ended = /[.!?…]$/.test(text) ? text : `${text}.`;
    return ended.charAt(0).toUpperCase() + ended.slice(1);
}
