// Keeps a page's live parts new: asks for the same page again and puts its parts in place.
// A page says how often: <body data-refresh="5">; a part is an element with an id and data-live.
"use strict";

(function () {
    const MOST_BACKOFF = 12;
    const every_s = Number(document.body.dataset.refresh || 0);
    const note = document.getElementById("stale");
    let refreshed = Date.now();
    let failures = 0;
    let timer = 0;
    let running = false;

    function ago(since) {
        const seconds = Math.round((Date.now() - since) / 1000);
        return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
    }

    function tell(reason) {
        note.hidden = !reason;
        const words = reason ? `These figures are ${ago(refreshed)} old: ${reason}` : "";
        if (note.textContent !== words) {
            note.textContent = words;
        }
        document.body.classList.toggle("is-stale", Boolean(reason));
    }

    // Open parts stay open, and who is on a link with the keyboard stays there.
    function replace(old, fresh) {
        if (old.innerHTML === fresh.innerHTML) {
            return;
        }
        const open = [...old.querySelectorAll("details[open][id]")].map((one) => one.id);
        const focused = old.contains(document.activeElement) ? document.activeElement : null;
        const links = [...old.querySelectorAll("a, button, summary, input, select")];
        const place = links.indexOf(focused);
        old.replaceChildren(...fresh.childNodes);
        for (const id of open) {
            const again = old.querySelector(`#${CSS.escape(id)}`);
            if (again) {
                again.open = true;
            }
        }
        if (place >= 0) {
            const now = old.querySelectorAll("a, button, summary, input, select")[place];
            if (now) {
                now.focus({ preventScroll: true });
            }
        }
    }

    async function refresh() {
        const answer = await fetch(location.href, {
            headers: { Accept: "text/html" }, cache: "no-store", signal: AbortSignal.timeout(10000),
        });
        if (answer.redirected && new URL(answer.url).pathname === "/login") {
            location.assign(answer.url);
            return;
        }
        if (!answer.ok) {
            throw new Error(`the node answered ${answer.status}`);
        }
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const old of document.querySelectorAll("[data-live][id]")) {
            const fresh = page.getElementById(old.id);
            if (fresh) {
                replace(old, fresh);
            }
        }
        refreshed = Date.now();
        document.dispatchEvent(new CustomEvent("page-refreshed"));
    }

    async function step() {
        if (running || document.hidden) {
            return;
        }
        running = true;
        try {
            await refresh();
            failures = 0;
            tell("");
        } catch (error) {
            failures += 1;
            const is_http = error.message.startsWith("the node answered");
            tell(is_http ? error.message : "the node does not answer");
        }
        running = false;
        plan();
    }

    function plan() {
        clearTimeout(timer);
        if (!document.hidden) {
            timer = setTimeout(step, every_s * 1000 * Math.min(2 ** failures, MOST_BACKOFF));
        }
    }

    if (every_s) {
        document.addEventListener("visibilitychange", () => {
            clearTimeout(timer);
            if (!document.hidden) {
                step();
            }
        });
        plan();
    }
})();
