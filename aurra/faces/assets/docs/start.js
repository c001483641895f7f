"use strict";

window.addEventListener("load", () => {
  SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#reference",
    deepLinking: true,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    displayOperationId: true,
    displayRequestDuration: true,
    filter: true,
    showExtensions: false,
    tryItOutEnabled: true,
    // The key stays in this page; nothing is asked of anybody else.
    persistAuthorization: false,
    validatorUrl: null,
  });
});
