// On a study's page: says when there are trials that it does not show yet.
const news = document.getElementById("news");
news.style.cssText =
  "position:fixed;right:1rem;bottom:1rem;padding:.6rem 1rem;border-radius:.6rem;z-index:9;" +
  "background:#b23b14;color:#fff;font:inherit";

async function look() {
  try {
    const answer = await fetch("/owner/news");
    if (!answer.ok) return;
    const count = (await answer.json()).over - Number(news.dataset.shown);
    if (count <= 0) return;
    const link = document.createElement("a");
    link.href = location.href;
    link.style.color = "inherit";
    link.textContent = count === 1 ? "1 new trial: show it" : `${count} new trials: show them`;
    news.replaceChildren(link);
    news.hidden = false;
  } catch {
    // The server is gone, or the line: what is shown stays, and we look again.
  }
}

setInterval(look, 4000);
look();
