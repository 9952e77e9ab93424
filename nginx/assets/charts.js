// Draws each <figure class="chart"> with uPlot; what it draws also stands in the table below it.
"use strict";

(function () {
    const HEIGHT = 180;
    const frame = document.querySelector("[data-charts]");
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const PALETTE = { light: ["#0172ad", "#b3540b", "#a31c1c"], dark: ["#6cb8ea", "#f0a35e", "#ff9d9d"] };
    const plots = new Map();
    let asked = 0;
    let step_s = 10;
    let values = null;

    function colours() {
        const style = getComputedStyle(document.body);
        return {
            text: style.getPropertyValue("--quiet"),
            line: style.getPropertyValue("--line"),
            series: dark.matches ? PALETTE.dark : PALETTE.light,
        };
    }

    function shown(value, unit) {
        if (value === null || value === undefined) {
            return "–";
        }
        const number = value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toPrecision(3);
        return unit === "per second" ? `${number}/s` : `${number} ${unit}`;
    }

    // The tables are in UTC, so the axes are.
    function clock(time) {
        const text = new Date(time * 1000).toISOString();
        const days = values.time[values.time.length - 1] - values.time[0] > 2 * 86400;
        return days ? `${text.slice(5, 10)} ${text.slice(11, 13)}h` : text.slice(11, 16);
    }

    // A value between two gaps has no line: it gets a point.
    function alone(plot, place) {
        const one = plot.data[place];
        const is_gap = (index) => (one[index] ?? null) === null;
        return one.flatMap((_, at) => (!is_gap(at) && is_gap(at - 1) && is_gap(at + 1) ? [at] : []));
    }

    function options(figure, series) {
        const colour = colours();
        const unit = figure.dataset.unit;
        const is_time = unit === "ms";
        const axis = { stroke: colour.text, grid: { stroke: colour.line, width: 1 }, ticks: { show: false } };
        return {
            width: figure.querySelector(".plot").clientWidth,
            height: HEIGHT,
            scales: { y: is_time ? { distr: 3 } : {
                range: (_, low, high) => [0, unit === "%" ? 100 : Math.max(high * 1.1, 0.1)],
            } },
            axes: [{ ...axis, size: 28, values: (_, times) => times.map(clock) }, { ...axis, size: 56 }],
            series: [{ label: "UTC", value: (_, time) => (time === null ? "–" : clock(time)) }, ...series.map(([, name], place) => ({
                label: name, stroke: colour.series[place], width: 1.5, points: { show: true, size: 4, filter: alone },
                dash: place ? [6 - 2 * place, 3] : [], value: (_, value) => shown(value, unit),
            }))],
            cursor: { y: false },
        };
    }

    function draw(figure) {
        const place = figure.querySelector(".plot");
        const series = JSON.parse(figure.dataset.series);
        const scale = Number(figure.dataset.scale);
        const zero = figure.dataset.unit === "ms" ? null : 0; // a logarithm has none
        const columns = series.map(([name]) => values[name].map((one) => (one === null ? null : one * scale || zero)));
        const is_empty = columns.every((column) => column.every((one) => one === null));
        place.classList.toggle("is-empty", is_empty);
        if (is_empty) {
            plots.get(figure)?.destroy();
            plots.delete(figure);
            place.textContent = "No samples yet";
            return;
        }
        const data = [values.time, ...columns];
        if (plots.has(figure)) {
            plots.get(figure).setData(data);
        } else {
            place.replaceChildren();
            plots.set(figure, new uPlot(options(figure, series), data, place));
        }
    }

    function draw_all() {
        if (values) {
            frame.querySelectorAll(".chart").forEach(draw);
        }
    }

    function draw_anew() {
        plots.forEach((plot) => plot.destroy());
        plots.clear();
        draw_all();
    }

    async function load() {
        if (Date.now() - asked < step_s * 1000) {
            return;
        }
        asked = Date.now();
        try {
            const answer = await fetch(frame.dataset.charts, { cache: "no-store" });
            if (answer.ok) {
                const history = await answer.json();
                step_s = Math.min(history.step, 60);
                values = history.columns;
                draw_all();
            }
        } catch {
            asked = 0; // pages.js tells of a node that does not answer
        }
    }

    if (frame) {
        document.addEventListener("page-refreshed", load);
        dark.addEventListener("change", draw_anew);
        let width = innerWidth;
        addEventListener("resize", () => {
            if (innerWidth !== width) {
                width = innerWidth;
                draw_anew();
            }
        });
        load();
    }
})();
