// How Swagger UI is set up. Tags and operations stand in the order of the document.

const dark = matchMedia("(prefers-color-scheme: dark)");
const followColorScheme = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", followColorScheme);
followColorScheme();

// Swagger UI's own filter box knows tags only. This one looks at addresses, ids and summaries too, in any letter case.
const filterOperations = ({ React }) => ({
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
  components: {
    FilterContainer: ({ layoutSelectors, layoutActions }) => {
      const phrase = layoutSelectors.currentFilter();
      return React.createElement("section", { className: "filter wrapper" },
        React.createElement("input", {
          className: "operation-filter-input",
          type: "search",
          placeholder: "Filter by tag, address, name or summary",
          value: typeof phrase === "string" ? phrase : "",
          onChange: (event) => layoutActions.updateFilter(event.target.value),
        }));
    },
  },
});

addEventListener("load", () =>
  SwaggerUIBundle({
    url: "../openapi.json",
    validatorUrl: "none",
    dom_id: "#swagger-ui",
    plugins: [filterOperations],
    deepLinking: true,
    docExpansion: "list",
    filter: true,
    defaultModelsExpandDepth: 0,
    tryItOutEnabled: true,
    displayRequestDuration: true,
    requestSnippetsEnabled: true,
    requestSnippets: { languages: ["curl_bash"], defaultExpanded: true },
  }));
