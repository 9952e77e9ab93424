// Swagger UI for the description of this node's API.
"use strict";

window.addEventListener("DOMContentLoaded", () => {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
    dark.addEventListener("change", follow);
    follow();
    const place = document.getElementById("swagger");
    SwaggerUIBundle({
        url: place.dataset.url,
        domNode: place,
        deepLinking: true,
        persistAuthorization: false,
        // Its own badge would be asked of another server.
        validatorUrl: null,
        defaultModelsExpandDepth: 0,
        tryItOutEnabled: false,
    });
});
