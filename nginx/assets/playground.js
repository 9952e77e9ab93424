// The playground without pressing a button: each change asks for the page anew and shows what came.
"use strict";

(function () {
    const WAIT_MS = 400;
    const form = document.getElementById("playground");
    const tried = document.getElementById("tried");
    let timer = 0;
    let number = 0;

    function row(name, value) {
        const line = document.createElement("tr");
        const head = document.createElement("th");
        const cell = document.createElement("td");
        head.scope = "row";
        head.textContent = name;
        cell.className = "url";
        cell.textContent = value;
        line.append(head, cell);
        return line;
    }

    function size(bytes) {
        return bytes < 1000 ? `${bytes} bytes` : bytes < 1e6 ? `${(bytes / 1e3).toPrecision(3)} kB`
            : `${(bytes / 1e6).toPrecision(3)} MB`;
    }

    // A picture came already: its answer is taken from the browser's cache where it may be kept there.
    async function tell(address, image) {
        const place = document.getElementById("answer");
        const [timing] = performance.getEntriesByName(address).slice(-1);
        const began = performance.now();
        const answer = await fetch(address, { cache: "force-cache" });
        const body = await answer.arrayBuffer();
        const took_ms = timing && timing.duration ? timing.duration : performance.now() - began;
        const rows = [row("Status", String(answer.status)), row("Time", `${took_ms.toFixed(0)} ms`)];
        if (answer.ok) {
            rows.push(row("Size", size(body.byteLength)));
            if (image && image.naturalWidth) {
                rows.push(row("Pixels", `${image.naturalWidth} × ${image.naturalHeight}`));
            }
        } else {
            const problem = JSON.parse(new TextDecoder().decode(body));
            rows.push(row("Problem", `${problem.title}: ${problem.detail}`));
        }
        for (const [name, value] of answer.headers) {
            rows.push(row(name, value));
        }
        place.replaceChildren(...rows);
        return body;
    }

    async function showJson(place) {
        const body = await tell(new URL(place.dataset.address, location.href).href);
        place.textContent = JSON.stringify(JSON.parse(new TextDecoder().decode(body)), null, 2);
    }

    function watch() {
        const image = document.getElementById("result");
        const json = document.getElementById("told");
        if (json) {
            showJson(json).catch(() => {});
        }
        if (!image) {
            return;
        }
        const told = () => tell(image.src, image).catch(() => {});
        if (image.complete) {
            told();
        } else {
            image.addEventListener("load", told);
            image.addEventListener("error", told);
        }
    }

    function address() {
        const query = new URLSearchParams();
        for (const [name, value] of new FormData(form)) {
            if (value) {
                query.append(name, value);
            }
        }
        return `${form.getAttribute("action")}?${query}`;
    }

    async function show() {
        const mine = ++number;
        const target = address();
        const answer = await fetch(target, { headers: { Accept: "text/html" }, cache: "no-store" });
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const fresh = page.getElementById("tried");
        if (mine !== number) {
            return;
        }
        if (!fresh) {
            location.assign(target);
            return;
        }
        history.replaceState(null, "", target);
        tried.replaceChildren(...fresh.childNodes);
        watch();
    }

    form.addEventListener("input", (event) => {
        clearTimeout(timer);
        if (event.target.name === "path") {
            form.requestSubmit();
        } else if (form.checkValidity()) {
            timer = setTimeout(() => show().catch(() => {}), WAIT_MS);
        }
    });
    watch();
})();
