{
  // Written into the page: sets the theme and the language before the first paint, and loads scripts ahead.
  const root = document.documentElement;
  const theme = localStorage.getItem("usher.theme");
  if (theme) root.dataset.theme = theme;

  const tags = [localStorage.getItem("usher.language"), ...navigator.languages].map((tag) => tag?.slice(0, 2));
  root.lang = tags.find((tag) => tag === "en" || tag === "de") ?? "en";

  // The code of the page at this address. The build names the files of each language and page here.
  const files = JSON.parse(document.currentScript.dataset.files ?? "{}");
  const [page = "", id] = location.pathname.split("/").slice(1);
  for (const href of [...(files[root.lang] ?? []), ...(files[id && page ? `${page}/` : page] ?? [])])
    document.head.append(Object.assign(document.createElement("link"), { rel: "modulepreload", href }));
}
