"use strict";
(() => {
  const stale = document.getElementById("stale");
  const look = async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(8000) });
      if (!answer.ok) throw new Error(String(answer.status));
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const id of ["facts", "summary", "now"]) {
        const [mine, theirs] = [document.getElementById(id), next.getElementById(id)];
        if (mine && theirs && mine.innerHTML !== theirs.innerHTML) mine.replaceChildren(...theirs.childNodes);
      }
      document.title = next.title;
      stale.classList.remove("shown");
    } catch {
      stale.classList.add("shown");
    }
  };
  setInterval(look, 2000);
  document.addEventListener("visibilitychange", look);
})();
