// What Opik's user interface does to reach the API: the same origin, below /api, one workspace by a header.

window.call = async (method, path, body) => {
  const headers = { Accept: "application/json, text/plain, */*", "Comet-Workspace": "default" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const begun = performance.now();
  const answer = await fetch(`/api${path}`, {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const seen = {
    status: answer.status,
    type: answer.headers.get("content-type") ?? "",
    location: answer.headers.get("location"),
  };
  return {
    ...seen,
    length: answer.headers.get("content-length"),
    text: await answer.text(),
    took: performance.now() - begun,
  };
};

// Reads a long answer as it comes; says in how many pieces it did.
window.read = async (path) => {
  const answer = await fetch(`/api${path}`, { headers: { Accept: "application/json, text/plain, */*" } });
  const [reader, decoder] = [answer.body.getReader(), new TextDecoder()];
  let [pieces, text] = [0, ""];
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    pieces += 1;
    text += decoder.decode(next.value, { stream: true });
  }
  return { status: answer.status, length: answer.headers.get("content-length"), pieces, page: JSON.parse(text) };
};
