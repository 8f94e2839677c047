// Arrow keys move through the confusion matrix; everything else on the page works without a script.
"use strict";
const table = document.querySelector("table.matrix");
if (table) {
  const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  table.addEventListener("keydown", (event) => {
    const move = moves[event.key];
    const at = event.target.dataset && event.target.dataset.at;
    if (!move || !at) return;
    let [row, column] = at.split(",").map(Number);
    const size = table.tBodies[0].rows.length;
    // empty cells are passed over
    for (;;) {
      row += move[0];
      column += move[1];
      if (row < 0 || column < 0 || row >= size || column >= size) return;
      const next = table.querySelector(`[data-at="${row},${column}"]`);
      if (next) {
        event.preventDefault();
        next.focus();
        return;
      }
    }
  });
}
