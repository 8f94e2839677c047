// What the page says, in English and Korean.

const WORDS = {
  skip: ["Skip to the answer", "결과로 건너뛰기"],
  picture: ["Picture", "사진"],
  drop: ["Drop a picture here, or paste one.", "사진을 여기에 끌어다 놓거나 붙여 넣으세요."],
  samples: ["Or one that it has not learned from:", "학습에 쓰지 않은 사진으로 해 보기:"],
  "its-label": ["Its label is “{label}”: {told}.", "정답은 ‘{label}’: {told}."],
  right: ["right", "맞았습니다"],
  wrong: ["wrong", "틀렸습니다"],
  choose: ["Choose", "파일 선택"],
  photograph: ["Photograph", "사진 찍기"],
  camera: ["Camera", "카메라"],
  shoot: ["Take it", "찍기"],
  close: ["Close", "닫기"],
  heat: ["Heat map", "히트맵"],
  method: ["Method", "방법"],
  class: ["Class", "클래스"],
  strength: ["Strength of the overlay", "히트맵 진하기"],
  against: ["against", "반대 근거"],
  for: ["for it", "찬성 근거"],
  answer: ["Answer", "결과"],
  layers: ["Layers", "층"],
  xray: ["X-ray", "엑스레이"],
  convolution: ["Convolution", "합성곱"],
  run: ["Run", "학습 기록"],
  dark: ["Dark", "어둡게"],
  light: ["Light", "밝게"],
  auto: ["Auto", "자동"],
  theme: ["Colours: {now}", "화면 색: {now}"],
  gradcam: ["Grad-CAM", "Grad-CAM"],
  layercam: ["LayerCAM", "LayerCAM"],
  occlusion: ["Occlusion", "가려 보기 (occlusion)"],
  integrated: ["Integrated gradients", "적분 기울기 (integrated gradients)"],
  everywhere: ["Answer at every place", "모든 위치의 답"],
  first: ["Give it a picture, and the answer stands here.", "사진을 넣으면 결과가 여기에 나옵니다."],
  unknown: ["Unknown: it looks like none of the classes. Most like:", "모르는 사진: 어느 클래스와도 닮지 않았습니다. 가장 가까운 것:"],
  says: ["The network says", "신경망의 답"],
  took: ["{ms} ms from click to answer", "클릭부터 답까지 {ms} ms"],
  "bars-help": ["Choose a class to see what speaks for it.", "클래스를 고르면 그 근거를 히트맵으로 보여 줍니다."],
  "more-classes": ["and {n} more, together {p}", "그 밖의 {n}개, 합계 {p}"],
  sees: ["What the network sees", "신경망이 보는 그림"],
  "sees-size": ["{h} × {w} pixels, {c}", "{h} × {w} 픽셀, {c}"],
  grey: ["grey", "흑백"],
  rgb: ["colour", "컬러"],
  "cut-off": ["The frame on the picture is what it sees; the rest is cut off.", "사진 위의 테두리 안쪽만 봅니다. 나머지는 잘립니다."],
  permuted: ["It knows the pixels in another order; here they are in their own places.", "이 신경망은 픽셀을 다른 순서로 받습니다. 여기서는 제자리에 놓고 보여 줍니다."],
  "half-in": ["Half of what speaks for “{label}” lies in {share} of the picture.", "‘{label}’의 근거 절반이 사진의 {share} 안에 모여 있습니다."],
  "nothing-for": ["Nothing in the picture speaks for “{label}”.", "사진에 ‘{label}’의 근거가 없습니다."],
  "at-layer": ["Taken at the layer {layer}.", "{layer} 층에서 구했습니다."],
  "layers-first": ["Give it a picture, and see what every layer makes of it.", "사진을 넣으면 층마다 무엇이 만들어지는지 볼 수 있습니다."],
  "layers-help": ["From the picture (top) to the scores (bottom). Black is 0, orange above it, blue below. Choose a map to see it large, and the picture that would excite it the most.",
    "위의 사진에서 아래의 점수까지 차례로 보여 줍니다. 검정은 0, 주황은 양수, 파랑은 음수입니다. 맵을 고르면 크게 보고, 그 채널을 가장 크게 자극하는 그림도 만들어 봅니다."],
  "only-layers": ["layers alone", "층만 보기"],
  maps: ["maps", "특징 맵"],
  filters: ["filters", "필터"],
  "show-filters": ["Filters", "필터 보기"],
  "show-maps": ["Maps", "특징 맵 보기"],
  "show-all": ["All {n}", "{n}개 모두"],
  "show-fewer": ["Fewer", "접기"],
  strongest: ["the {n} strongest of {all}", "{all}개 중 가장 강한 {n}개"],
  channel: ["Channel", "채널"],
  "channel-of": ["{layer}, channel {n}", "{layer}, 채널 {n}"],
  map: ["Map", "특징 맵"],
  filter: ["Filter", "필터"],
  maximise: ["What excites it the most", "가장 크게 자극하는 그림"],
  "make-it": ["Make the picture", "그림 만들기"],
  making: ["Being made; seconds.", "만드는 중입니다. 몇 초 걸립니다."],
  "excited": ["From {before} to {after} on average over its map.", "맵 평균이 {before}에서 {after}로 커졌습니다."],
  "xray-it": ["X-ray", "엑스레이로 보기"],
  back: ["Back", "뒤로"],
  "xray-first": ["Give it a picture, and look through any number in the network.", "사진을 넣으면 신경망 속 숫자 하나하나를 들여다볼 수 있습니다."],
  "xray-help": ["Move over the map (or focus it and use the arrow keys): the pixels that this number saw light up on the picture, and the sum is written out. Click to hold one.",
    "맵 위에서 움직이면(또는 맵을 선택하고 화살표 키) 그 숫자가 본 픽셀이 사진에 표시되고 계산이 펼쳐집니다. 클릭하면 고정됩니다."],
  layer: ["Layer", "층"],
  held: ["held; click again to let go", "고정됨. 다시 클릭하면 풀립니다"],
  saw: ["It saw {h} × {w} pixels of the picture", "사진의 {h} × {w} 픽셀을 보았습니다"],
  clipped: ["(part of its field lies beyond the edge)", "(수용 영역 일부가 가장자리 밖에 있습니다)"],
  "given-by": ["from", "입력"],
  "patch": ["patch", "패치"],
  "kernel": ["kernel", "커널"],
  "products": ["products", "곱"],
  "sum": ["sum", "합"],
  "bias": ["bias", "편향"],
  "result": ["result", "결과"],
  "network-own": ["the network's own number: {value}", "신경망 자신의 값: {value}"],
  "equal": ["equal", "일치"],
  "apart-by": ["{gap} apart", "차이 {gap}"],
  "largest-channels": ["the {n} input channels with the largest sums, of {all}", "입력 채널 {all}개 중 합이 가장 큰 {n}개"],
  "largest-inputs": ["the {n} inputs with the largest products, of {all}", "입력 {all}개 중 곱이 가장 큰 {n}개"],
  "input-number": ["input", "입력"],
  "input-value": ["its value", "값"],
  weight: ["weight", "가중치"],
  "input-channel": ["input channel {n}", "입력 채널 {n}"],
  "others-sum": ["the {n} others together", "나머지 {n}개의 합"],
  "goes-to": ["Where it goes next", "다음에 가는 곳"],
  "window": ["window", "창"],
  "not-written": ["What this layer does is not written out.", "이 층의 계산은 풀어 쓰지 않습니다."],
  unit: ["Unit", "유닛"],
  "run-none": ["These weights came without their run folder, so there is no report.", "학습 폴더 없이 가중치만 열었으므로 보고서가 없습니다."],
  token: ["This service asks for a token", "이 서비스는 토큰이 필요합니다"],
  "token-help": ["Who runs it knows the token. It is kept until this tab is closed.", "서비스를 운영하는 사람에게 받으세요. 이 탭을 닫을 때까지만 보관합니다."],
  "token-go": ["Go on", "계속"],
  "run-title": ["Report of the run", "학습 보고서"],
  loading: ["Loading", "불러오는 중"],
  offline: ["The service does not answer. It may have been stopped, or the network is slow.", "서비스가 응답하지 않습니다. 중지되었거나 네트워크가 느릴 수 있습니다."],
  again: ["Try again", "다시 시도"],
  "no-picture": ["There is no picture in what was given.", "그 안에 사진이 없습니다."],
  "too-large": ["{mb} MB is too large a picture for this service.", "{mb} MB는 이 서비스에 너무 큰 사진입니다."],
  "no-camera": ["The camera cannot be used: {why}", "카메라를 쓸 수 없습니다: {why}"],
  fix: ["What helps", "해결 방법"],
  "conv-help": ["A kernel is stamped across a picture, step by step. Edit any number; every change shows at once.",
    "커널을 그림 위로 한 칸씩 옮겨 찍습니다. 숫자를 바꾸면 바로 반영됩니다."],
  source: ["Input", "입력"],
  "small-matrix": ["small matrix", "작은 행렬"],
  "own-picture": ["the picture", "넣은 사진"],
  "stamp": ["stamp 도", "글자 도장"],
  preset: ["Kernel", "커널"],
  size: ["Size", "크기"],
  padding: ["Padding", "패딩"],
  edges: ["At the edges", "가장자리"],
  stride: ["Stride", "스트라이드"],
  dilation: ["Dilation", "팽창"],
  mode: ["Mode", "방식"],
  correlation: ["as networks do (correlation)", "신경망 방식 (상관)"],
  flipped: ["as in mathematics (kernel turned)", "수학 방식 (커널 뒤집기)"],
  transposed: ["transposed", "전치 합성곱"],
  zeros: ["zeros", "0으로 채움"],
  reflect: ["mirrored", "거울 반사"],
  replicate: ["edge repeated", "가장자리 반복"],
  circular: ["round and round", "순환"],
  identity: ["nothing", "그대로"],
  blur: ["blur", "흐리게"],
  sharpen: ["sharpen", "선명하게"],
  "edges-h": ["horizontal edges (Sobel)", "가로 경계 (Sobel)"],
  "edges-v": ["vertical edges (Sobel)", "세로 경계 (Sobel)"],
  outline: ["outline (Laplace)", "윤곽 (Laplace)"],
  emboss: ["emboss", "엠보싱"],
  shift: ["shift", "밀기"],
  own: ["your own", "직접 입력"],
  play: ["Play", "재생"],
  pause: ["Pause", "멈춤"],
  step: ["Step", "한 칸"],
  whole: ["Whole", "한 번에"],
  restart: ["From the start", "처음부터"],
  speed: ["Speed", "속도"],
  output: ["Output", "출력"],
  "step-of": ["step {n} of {all}: row {y}, column {x}", "{all}칸 중 {n}번째: {y}행 {x}열"],
  "out-size": ["({n} + 2·{p} − {d}·({k} − 1) − 1) / {s} + 1 = {m}", "({n} + 2·{p} − {d}·({k} − 1) − 1) / {s} + 1 = {m}"],
  "out-size-t": ["({n} − 1)·{s} − 2·{p} + {d}·({k} − 1) + 1 = {m}", "({n} − 1)·{s} − 2·{p} + {d}·({k} − 1) + 1 = {m}"],
  "too-small": ["The kernel is larger than the input with its padding. Smaller kernel or dilation, or more padding.", "커널이 패딩을 더한 입력보다 큽니다. 커널이나 팽창을 줄이거나 패딩을 늘리세요."],
  im2col: ["The same as one multiplication (im2col)", "행렬 곱 하나로 (im2col)"],
  "im2col-help": ["Each column is one patch, unrolled. The kernel, unrolled to a row, times this matrix is the whole output at once: that is how computers do it.",
    "열 하나가 펼친 패치 하나입니다. 펼친 커널(행)에 이 행렬을 곱하면 출력 전체가 한 번에 나옵니다. 컴퓨터는 이렇게 계산합니다."],
  "im2col-large": ["{r} × {c} numbers: the columns around the current step are shown.", "{r} × {c}개의 숫자: 현재 위치 주변의 열만 보입니다."],
  "im2col-t": ["Transposed, each input number stamps the whole kernel onto the output, and stamps add up where they overlap.", "전치 합성곱에서는 입력 숫자 하나가 커널 전체를 출력에 찍고, 겹치는 곳은 더해집니다."],
  "rewrite": ["Row {y}, column {x}", "{y}행 {x}열"],
};

let at = 0;

/** The languages there are. */
export const LANGUAGES = ["en", "ko"];

/** Choose a language: "en" or "ko". */
export function speak(language) {
  at = Math.max(0, LANGUAGES.indexOf(language));
  document.documentElement.lang = LANGUAGES[at];
}

/** The language that is spoken. */
export const language = () => LANGUAGES[at];

/** A text, with what stands in its braces. */
export function t(key, given = {}) {
  const text = WORDS[key] ? WORDS[key][at] : key;
  return text.replace(/\{(\w+)\}/g, (_, name) => String(given[name] ?? ""));
}

/** Whether there is a text of that name. */
export const has = (key) => key in WORDS;

/** Write the texts of all elements that name one. */
export function write(root = document) {
  for (const one of root.querySelectorAll("[data-t]")) one.textContent = t(one.dataset.t);
}

/** A share as people write it. */
export function percent(share) {
  const hundredths = share * 100;
  if (hundredths > 0 && hundredths < 0.1) return "< 0.1 %";
  if (hundredths < 100 && hundredths > 99.9) return "> 99.9 %";
  return `${hundredths.toFixed(hundredths < 99.95 && hundredths >= 0.05 ? 1 : 0)} %`;
}

/** A number in few characters. */
export function short(value, digits = 3) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size >= 1e5 || size < 1e-3 ? value.toExponential(digits - 1) : String(Number(value.toPrecision(digits)));
  return text.replace("-", "−");
}
