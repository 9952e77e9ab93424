/**
 * Signs URLs of Image Cloud: one exact address, open until it expires, without a token (docs/api.md).
 * One file for servers: Node 18 or newer, Deno, Bun. A browser must not have the token.
 *
 *     import { Signer } from "./image_cloud.mjs";
 *     const cloud = new Signer("http://ic00:5000", "web-frontend", token);
 *     cloud.thumbnail("http://shop.example/a.jpg", 200);
 */
import { createHash, createHmac } from "node:crypto";

export class Signer {
    #base;
    #client;
    #key; // private: console.log does not show it

    /** `client` is the name of the token's client. */
    constructor(base, client, token) {
        this.#base = base.replace(/\/+$/, "");
        this.#client = client;
        this.#key = createHash("sha256").update(token).digest("hex");
    }

    /** Return a signed thumbnail's URL, open for `seconds`. */
    thumbnail(url, size = 200, seconds = 3600) {
        return this.sign("/get_thumbnail", { size, url }, inSeconds(seconds));
    }

    /** Return a signed picture's URL, open for `seconds`; `options` are parameters of /get_image. */
    image(url, options = {}, seconds = 3600) {
        return this.sign("/get_image", { url, ...options }, inSeconds(seconds));
    }

    /** Return the signed URL of `path` with `parameters`; `expires` is in seconds since 1970. */
    sign(path, parameters, expires) {
        const signed = { ...parameters, client: this.#client, expires };
        const query = Object.keys(signed)
            .filter((name) => signed[name] !== undefined && signed[name] !== null)
            .sort()
            .map((name) => `${encode(name)}=${encode(String(signed[name]))}`)
            .join("&");
        const message = `${path}?${query}`;
        const signature = createHmac("sha256", this.#key).update(message).digest("hex");
        return `${this.#base}${message}&signature=${signature}`;
    }
}

function inSeconds(seconds) {
    return Math.floor(Date.now() / 1000 + seconds);
}

/** Percent-encode as RFC 3986 says; encodeURIComponent leaves !'()* as they are. */
function encode(text) {
    return encodeURIComponent(text).replace(
        /[!'()*]/g,
        (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
    );
}
