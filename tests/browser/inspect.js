// What is wrong with the page as it is shown now: a list of sentences. Run in the page by looks.rs.
(() => {
    const faults = [];
    const demand = (holds, sentence) => holds || faults.push(sentence);
    const all = (selector) => [...document.querySelectorAll(selector)];
    const isSeen = (node) => node.checkVisibility() && node.getClientRects().length > 0;
    const seen = (selector) => all(selector).filter(isSeen);
    const name = (node) => `<${node.tagName.toLowerCase()} ${node.id || node.className}> "${node.textContent.slice(0, 30)}"`;

    // Width.
    demand(document.documentElement.scrollWidth <= innerWidth, `scrolls sideways: ${document.documentElement.scrollWidth} px`);
    // What scrolls in a frame of its own may be wider than that, and the way past the navigation is seen when it has the focus.
    const isFramed = (node) => node.closest(".table-frame, .graph-frame, .scrolls, .places, .skip") !== null;
    for (const node of seen("body *").filter((node) => !isFramed(node))) {
        const { left, right } = node.getBoundingClientRect();
        demand(left >= 0 && right <= innerWidth, `${name(node)} sticks out: ${left} to ${right}`);
        const isWhole = node.scrollWidth <= node.clientWidth + 1 || node.clientWidth === 0 || node.textContent.trim() === "";
        demand(isWhole || getComputedStyle(node).textOverflow === "ellipsis" || node.tagName === "IMG", `${name(node)} is cut off`);
    }

    // Structure.
    demand(document.documentElement.lang === "en", "the language is not said");
    demand(document.title.endsWith(" – tender"), `the title is ${document.title}`);
    demand(seen("h1").length === 1 && seen("main").length === 1, "not one heading and one main part");
    const ids = all("[id]").map((node) => node.id);
    demand(new Set(ids).size === ids.length, `an id is there twice: ${ids}`);
    for (const attribute of ["aria-describedby", "aria-controls", "for"]) {
        for (const node of all(`[${attribute}]`)) {
            for (const id of node.getAttribute(attribute).split(" ").filter(Boolean)) {
                demand(document.getElementById(id) !== null, `${name(node)} refers to ${id}, which is not there`);
            }
        }
    }

    // Fields and buttons.
    for (const input of seen("input")) {
        const isLabelled = input.ariaLabel !== null || (input.labels.length === 1 && isSeen(input.labels[0]));
        demand(isLabelled, `${input.name} has no label`);
        const isAboutPeople = input.form?.querySelector("[type=password]") !== null && input.form !== null;
        demand(!isAboutPeople || input.autocomplete !== "", `${input.name} says nothing to password managers`);
        demand(["checkbox", "radio"].includes(input.type) || parseFloat(getComputedStyle(input).fontSize) >= 16, `${input.name}: telephones zoom in on small text`);
    }
    for (const button of seen("button")) {
        // Signs, such as an arrow, are nothing that anybody would say.
        const said = button.textContent.replace(/[^\p{L}\p{N} ]/gu, "").trim();
        demand((button.ariaLabel ?? button.textContent).includes(said), `${name(button)} is read out otherwise`);
        demand(button.textContent.trim() !== "", "a button without text");
    }
    for (const target of seen("input, select, textarea, button")) {
        const { width, height } = target.getBoundingClientRect();
        // In the middle of text and tables (WCAG 2.2, 2.5.8).
        const isInline = target.matches(".link, .sort, [type=checkbox], [type=radio]");
        // Beside many others like it, where there is a mouse.
        const isSmall = target.matches(".small") && innerWidth >= 600;
        const [needed, found] = isInline ? [18, height] : [isSmall ? 32 : 44, Math.min(width, height)];
        demand(found >= needed, `${name(target)} is hard to hit: ${width} × ${height}`);
    }

    // Contrast (WCAG 2.2, 1.4.3 and 1.4.11).
    const channels = (color) => color.match(/[\d.]+/g).map(Number);
    const luminance = (color) => {
        const [red, green, blue] = channels(color).map((value) => {
            const share = value / 255;
            return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const contrast = (one, other) => {
        const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
        return (light + 0.05) / (dark + 0.05);
    };
    const ground = (node) => {
        const color = getComputedStyle(node).backgroundColor;
        return channels(color)[3] === 0 ? ground(node.parentElement) : color;
    };
    const hasText = (node) => [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim() !== "");
    for (const node of seen("body *").filter((node) => hasText(node) && !node.matches(":disabled"))) {
        const ratio = contrast(getComputedStyle(node).color, ground(node));
        demand(ratio >= 4.5, `${name(node)} has a contrast of ${ratio.toFixed(2)}`);
    }
    const hasBorder = (node) => parseFloat(getComputedStyle(node).borderTopWidth) > 0;
    for (const node of seen("input, select, textarea, button:enabled").filter(hasBorder)) {
        const ratio = contrast(getComputedStyle(node).borderTopColor, ground(node.parentElement));
        demand(ratio >= 3, `the border of ${name(node)} has a contrast of ${ratio.toFixed(2)}`);
    }
    return faults;
})()
