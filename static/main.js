// The page: which view is shown, and when that changes.

import * as connection from "./connection.js";
import * as live from "./live.js";
import { Said } from "./parts/outcome.js";
import * as router from "./router.js";
import { code, isInside, look, notice, session, takeCode } from "./session.js";
import { Brand, Shell } from "./shell.js";
import { html, render, useEffect } from "./ui.js";
import { Claim } from "./views/claim.js";
import { LogIn } from "./views/log_in.js";
import { Unclaimed } from "./views/unclaimed.js";

function App() {
    const isIn = isInside.value;
    useEffect(() => {
        if (isIn) {
            live.start();
            return live.stop;
        }
    }, [isIn]);
    return html`
        ${session.value !== null && (isIn ? html`<${Shell} />` : html`<${Door} />`)}
        <${connection.Banner} />
        <${Said} />
    `;
}

/** What somebody sees who is not let in. */
function Door() {
    const { setup } = session.value;
    const View = setup === "done" ? LogIn : setup === "open" && code.value !== null ? Claim : Unclaimed;
    return html`
        <header class="top"><${Brand} /></header>
        <main><${View} key=${setup} /></main>
    `;
}

addEventListener("hashchange", () => {
    if (takeCode()) {
        look();
    } else {
        notice.value = null;
    }
    router.moved();
});
document.addEventListener("visibilitychange", () => {
    live.visibilityChanged();
    // Much may have happened while nobody looked: another window logged out, the session ended.
    if (!document.hidden) {
        look();
    }
});
addEventListener("pageshow", (event) => event.persisted && look());
takeCode();
router.moved();
connection.watch(look);
render(html`<${App} />`, document.getElementById("app"));
look();
