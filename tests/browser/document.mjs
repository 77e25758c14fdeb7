// The document that a server serves: which operation an address is of, and whether an answer looks as it says.
// Needs the npm packages ajv and ajv-formats.

import { createRequire } from "node:module";

const require = createRequire(`${process.env.NODE_MODULES ?? process.cwd()}/`);
const { default: Ajv } = require("ajv/dist/2020.js");
const { default: addFormats } = require("ajv-formats");

export async function served(base) {
  const spec = await (await fetch(`${base}/openapi.json`)).json();
  const ajv = addFormats(new Ajv({ strict: false, allErrors: true }));
  const validators = new Map();
  const operations = Object.entries(spec.paths).flatMap(([path, item]) => {
    const pattern = new RegExp(`^${path.replace(/\{\w+\}/g, "[^/]+")}/?$`);
    return Object.entries(item).map(([method, operation]) => ({
      path,
      method,
      pattern,
      operation,
      fixed: path.replace(/\{\w+\}/g, "").length,
    }));
  });

  function operationOf(method, path) {
    const found = operations.filter((one) => one.method === method.toLowerCase() && one.pattern.test(path));
    return found.sort((one, other) => other.fixed - one.fixed)[0];
  }

  // What is wrong with an answer, by the document.
  function mistakes({ path, method, operation }, { status, type, text }) {
    const named = [String(status), "default"].find((one) => operation.responses[one]);
    if (!named) return `status ${status} is not documented`;
    const media = operation.responses[named].content?.["application/json"] && "application/json";
    if (!media) return text === "" ? "" : `a body that is not documented: ${text.slice(0, 200)}`;
    if (type !== "application/json") return `its type is ${type}`;
    const place = `${method} ${path} ${named}`;
    if (!validators.has(place)) {
      validators.set(
        place,
        ajv.compile({ ...operation.responses[named].content[media].schema, components: spec.components }),
      );
    }
    const validate = validators.get(place);
    return validate(JSON.parse(text)) ? "" : ajv.errorsText(validate.errors);
  }

  return { operations, operationOf, mistakes };
}
