// How Swagger UI is set up. Tags and operations stand in the order of the document.

// The filter box looks at addresses, ids and summaries, in any letter case; Swagger UI's own only at tags.
const filterOperations = () => ({
  fn: {
    opsFilter: (tags, phrase) => {
      const has = (text) => (text ?? "").toLowerCase().includes(phrase.toLowerCase());
      const matches = (entry) =>
        [entry.get("path"), entry.getIn(["operation", "operationId"]), entry.getIn(["operation", "summary"])].some(has);
      return tags
        .map((tag, name) => (has(name) ? tag : tag.update("operations", (operations) => operations.filter(matches))))
        .filter((tag) => tag.get("operations").size > 0);
    },
  },
});

window.addEventListener("load", () => {
  window.ui = SwaggerUIBundle({
    url: "../openapi.json",
    validatorUrl: "none",
    dom_id: "#swagger-ui",
    layout: "StandaloneLayout",
    presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
    plugins: [filterOperations],
    deepLinking: true,
    docExpansion: "list",
    filter: true,
    defaultModelsExpandDepth: 0,
    tryItOutEnabled: true,
    displayRequestDuration: true,
    requestSnippetsEnabled: true,
    requestSnippets: { languages: ["curl_bash"], defaultExpanded: true },
  });
});
