"use strict";
(() => {
  const { $, $$ } = Page;
  const samples = Samples(JSON.parse($("#data").textContent));
  for (const place of $$(".samples")) samples(place, JSON.parse(place.dataset.columns));
  Charts.follow(document);
})();
