// Shows one service's OpenAPI document as a page, without any library: the site allows no script from elsewhere.

const services = ["identity", "catalog", "inventory", "booking", "payment", "notifier", "realtime"];
const page = document.getElementById("page");
const start = [...page.childNodes];

/** An element with attributes and children; strings become text, so nothing in a document can become markup. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== ""));
  return made;
}

/** The schema that a `$ref` points to inside the document. */
function resolve(api, schema) {
  if (!schema?.$ref) return schema ?? {};
  return schema.$ref.slice(2).split("/").reduce((part, key) => part[key], api);
}

/** A schema in the short form that a reader wants: {"seats": ["string"], "amount": "integer"}. `seen` ends recursion. */
function shape(api, schema, seen = []) {
  if (schema?.$ref && seen.includes(schema.$ref)) return schema.$ref.split("/").pop();
  const inside = schema?.$ref ? [...seen, schema.$ref] : seen;
  const it = resolve(api, schema);
  const several = it.anyOf ?? it.oneOf;
  if (several) {
    const shapes = several.map((one) => shape(api, one, inside));
    return shapes.every((one) => typeof one === "string") ? shapes.join(" | ") : shapes.find((one) => typeof one !== "string");
  }
  if (it.allOf) return shape(api, it.allOf[0], inside);
  if (it.enum) return it.enum.join(" | ");
  if ("const" in it) return String(it.const);
  if (it.properties) {
    return Object.fromEntries(Object.entries(it.properties).map(([name, of]) => [
      (it.required ?? []).includes(name) ? name : `${name}?`, shape(api, of, inside)]));
  }
  if (it.type === "array") return [shape(api, it.items, inside)];
  if (it.type === "object" && typeof it.additionalProperties === "object") {
    return { "…": shape(api, it.additionalProperties, inside) };
  }
  return it.format ? `${it.type} (${it.format})` : it.type ?? "any";
}

/** The bodies of a request or response, one per media type. */
function bodies(api, content = {}) {
  return Object.entries(content).map(([type, { schema }]) => element("div", {},
    element("code", {}, type), element("pre", {}, JSON.stringify(shape(api, schema), null, 2))));
}

function parameters(api, list) {
  if (!list.length) return [];
  const rows = list.map((given) => resolve(api, given)).map((it) => element("tr", {},
    element("td", {}, element("code", {}, it.name)), element("td", {}, it.in + (it.required ? "" : ", optional")),
    element("td", {}, element("code", {}, JSON.stringify(shape(api, it.schema)))), element("td", {}, it.description ?? "")));
  return [element("h4", {}, "Parameters"), element("table", {}, element("tbody", {}, ...rows))];
}

function operation(api, path, method, it, shared) {
  const answers = Object.entries(it.responses ?? {}).flatMap(([status, given]) => {
    const answer = resolve(api, given);
    return [element("h4", {}, `Answers ${status}`), element("p", { class: "text" }, answer.description ?? ""),
      ...bodies(api, answer.content)];
  });
  const request = resolve(api, it.requestBody);
  return element("details", {},
    element("summary", {}, element("span", { class: "method" }, method.toUpperCase()), " ",
      element("code", { class: "address" }, path), element("span", { class: "brief" }, it.summary ?? "")),
    element("div", {}, element("p", { class: "text" }, it.description ?? ""),
      ...parameters(api, [...shared, ...(it.parameters ?? [])]),
      ...(request.content ? [element("h4", {}, "Body"), ...bodies(api, request.content)] : []), ...answers));
}

function render(api) {
  const operations = Object.entries(api.paths).flatMap(([path, item]) =>
    ["get", "post", "put", "patch", "delete"].filter((method) => item[method])
      .map((method) => operation(api, path, method, item[method], item.parameters ?? [])));
  return [element("h2", {}, `${api.info.title} ${api.info.version}`),
    element("p", { class: "text" }, api.info.description ?? ""), ...operations];
}

async function show() {
  const service = location.hash.slice(1);
  for (const link of document.querySelectorAll("#services a")) {
    link.setAttribute("aria-current", link.hash === location.hash ? "page" : "false");
  }
  if (!services.includes(service)) return page.replaceChildren(...start);
  const answer = await fetch(`/openapi/${service}.json`);
  return page.replaceChildren(...(answer.ok ? render(await answer.json())
    : [element("p", {}, `${service} does not answer just now (${answer.status}).`)]));
}

document.getElementById("services").append(
  ...services.map((name) => element("li", {}, element("a", { href: `#${name}` }, name))));
document.getElementById("documents").append(...services.flatMap((name, at) =>
  [at ? ", " : "", element("a", { href: `/openapi/${name}.json` }, name)]));
addEventListener("hashchange", show);
show();
