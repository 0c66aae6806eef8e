import { memo, type ReactNode, type RefObject, useEffect, useMemo, useRef, useState } from "react";
import { t } from "../i18n";
import { Icon } from "../ui/Icon";
import { type Box, centre, type Direction, hall, neighbour, READABLE_PX, toScreen, UNIT, visible } from "./geometry";
import { fullLabel, kind, numberOf, type Prices, place } from "./labels";
import { firstRows, type Layout, type Row, rows, type Seat } from "./layout";
import { Minimap, type MinimapHandle } from "./Minimap";
import "./seats.css";
import { bodyOf, markOf } from "./shapes";
import type { SeatStore } from "./store";
import { useView } from "./useView";

interface SeatMapProps {
  store: SeatStore;
  prices: Prices;
  /** Whether seats can be selected now. */
  isOpen: boolean;
  /** The seats of tickets that are being exchanged. */
  old: ReadonlySet<string>;
  /** Highlight the wheelchair spaces and dim the other seats. */
  dims: boolean;
  onPick: (seat: Seat) => void;
  /** The seat under the pointer or with the focus, or null. */
  onLook: (seat: Seat | null) => void;
  /** Whether the map fills the screen, and how to change that. */
  isFull: boolean;
  onFull: (is: boolean) => void;
  /** The texts in the bar above the map. */
  children: ReactNode;
}

const ARROWS: Record<string, Direction> = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down" };

/** The auditorium as one SVG. React renders it once; later only changed seats are updated. */
export function SeatMap({ store, prices, isOpen, old, dims, onPick, onLook, isFull, onFull, children }: SeatMapProps) {
  const svg = useRef<SVGSVGElement>(null);
  const minimap = useRef<MinimapHandle>(null);
  const box = useMemo(() => hall(store.layout), [store]);
  const [pointed, setPointed] = useState<Seat | null>(null);
  const view = useView(svg, box, (shown, size) => {
    minimap.current?.show(visible(shown, size));
    keepLettersInSight(svg.current, box, visible(shown, size));
    setPointed(null);
  });
  useEffect(() => onLook(pointed), [pointed, onLook]);
  usePainting(svg, store, prices, isOpen, old);

  const seatOf = (target: EventTarget): Seat | undefined =>
    store.seats.get((target as Element).closest<SVGGElement>("[data-seat]")?.dataset.seat ?? "");

  const pick = (event: React.MouseEvent) => {
    const seat = seatOf(event.target);
    if (!seat || view.wasDragged()) return;
    const isTouch = (event.nativeEvent as PointerEvent).pointerType === "touch";
    const isTaken = ["held", "gone"].includes(store.stateOf(seat.seat_id));
    if (isTouch && view.seatPx() < READABLE_PX) view.look(centre(seat));
    else if (isOpen) onPick(seat);
    if (isTaken) setPointed(seat);
  };

  const onKey = (event: React.KeyboardEvent) => {
    const seat = seatOf(event.target);
    const direction = ARROWS[event.key];
    if (!seat) return;
    if (direction) {
      event.preventDefault();
      const next = neighbour(store.layout, seat, direction);
      if (next) focusSeat(svg.current, next);
    } else if (event.key === " " || event.key === "Enter") {
      event.preventDefault();
      if (isOpen) onPick(seat);
    }
  };

  const onFocus = (event: React.FocusEvent) => {
    const seat = seatOf(event.target);
    if (!seat) return;
    makeReachable(svg.current, seat);
    view.reveal(centre(seat));
    if ((event.target as Element).matches(":focus-visible")) setPointed(seat);
  };

  return (
    <div className="seat-map">
      <div className="map-bar">
        <Minimap ref={minimap} layout={store.layout} box={box} isShown={view.isZoomed} onLook={view.look} />
        <div className="min-w-0 grow text-sm leading-tight text-quiet">{children}</div>
        <div role="group" aria-label={t("map.zoom")} className="map-controls">
          <Control label={t("map.out")} icon="minus" onClick={view.zoomOut} isOff={!view.isZoomed} />
          <Control label={t("map.in")} icon="plus" onClick={view.zoomIn} />
          <Control label={t("map.all")} icon="fit" onClick={view.showAll} isOff={!view.isZoomed} />
          <Control
            label={t(isFull ? "map.small" : "map.full")}
            icon={isFull ? "cross" : "wide"}
            onClick={() => onFull(!isFull)}
          />
        </div>
      </div>
      <div className="map-area">
        <svg
          ref={svg}
          role="group"
          aria-label={t("map.label")}
          data-dims={dims}
          className={`seats block w-full select-none ${view.isZoomed ? "touch-none cursor-grab" : "touch-pan-y"}`}
          style={{ "--ratio": `${box.width} / ${box.height}` } as React.CSSProperties}
          onClick={pick}
          onKeyDown={onKey}
          onFocus={onFocus}
          onBlur={() => setPointed(null)}
          onPointerOver={(event) => event.pointerType === "mouse" && setPointed(seatOf(event.target) ?? null)}
          onPointerLeave={() => setPointed(null)}
        >
          <Hall layout={store.layout} box={box} />
        </svg>
        {pointed && (
          <Tooltip seat={pointed} store={store} prices={prices} at={toScreen(view.view(), centre(pointed))} />
        )}
      </div>
    </div>
  );
}

/** Paint all seats now, and later the ones that the store reports as changed. */
function usePainting(
  svg: RefObject<SVGSVGElement | null>,
  store: SeatStore,
  prices: Prices,
  isOpen: boolean,
  old: ReadonlySet<string>,
): void {
  useEffect(() => {
    const nodes = new Map<string, SVGGElement>();
    for (const node of svg.current?.querySelectorAll<SVGGElement>("[data-seat]") ?? [])
      nodes.set(node.dataset.seat ?? "", node);
    const paint = (seatIds: Iterable<string>) => {
      for (const id of seatIds) {
        const node = nodes.get(id);
        const seat = store.seats.get(id);
        if (!node || !seat) continue;
        paintSeat(node, seat, store, prices, isOpen);
        node.dataset.old = String(old.has(id));
        if (old.has(id))
          node.setAttribute("aria-label", `${node.getAttribute("aria-label")}, ${t("exchange.oldSeat")}`);
      }
    };
    paint(store.seats.keys());
    store.painters.add(paint);
    return () => {
      store.painters.delete(paint);
    };
  }, [svg, store, prices, isOpen, old]);
}

function paintSeat(node: SVGGElement, seat: Seat, store: SeatStore, prices: Prices, isOpen: boolean): void {
  const state = store.stateOf(seat.seat_id);
  const isMine = state === "wanted" || state === "own";
  const mark = markOf(state, seat.category);
  node.dataset.state = state;
  node.dataset.looked = String(state === "free" && store.viewersOf(seat.seat_id) > 0);
  node.setAttribute("aria-label", fullLabel(seat, state, prices));
  node.setAttribute("aria-checked", String(isMine));
  node.setAttribute("aria-disabled", String(!isOpen || !(isMine || state === "free")));
  node.querySelector(".mark")?.setAttribute("href", mark ?? "");
  node.querySelector(".number")?.setAttribute("visibility", mark ? "hidden" : "visible");
}

/** Only one seat is in the tab order; the arrow keys move to the others. */
function makeReachable(svg: SVGSVGElement | null, seat: Seat): void {
  svg?.querySelector('[data-seat][tabindex="0"]')?.setAttribute("tabindex", "-1");
  svg?.querySelector(`[data-seat="${CSS.escape(seat.seat_id)}"]`)?.setAttribute("tabindex", "0");
}

function focusSeat(svg: SVGSVGElement | null, seat: Seat): void {
  svg?.querySelector<SVGGElement>(`[data-seat="${CSS.escape(seat.seat_id)}"]`)?.focus();
}

/** Keeps the row letters at the edges of the visible part. */
function keepLettersInSight(svg: SVGSVGElement | null, box: Box, shown: Box): void {
  const left = Math.max(0, shown.x - box.x);
  const right = Math.min(0, shown.x + shown.width - box.x - box.width);
  svg?.querySelector("[data-letters=left]")?.setAttribute("transform", `translate(${left} 0)`);
  svg?.querySelector("[data-letters=right]")?.setAttribute("transform", `translate(${right} 0)`);
}

const Hall = memo(function Hall({ layout, box }: { layout: Layout; box: Box }) {
  const lines = useMemo(() => rows(layout), [layout]);
  const first = lines[0]?.seats[0];
  return (
    <>
      <Screen layout={layout} box={box} />
      {firstRows(lines).map(({ area, y }) => (
        <text key={y} className="area-name" aria-hidden="true" x={box.x + box.width / 2} y={(y - 0.25) * UNIT}>
          {area}
        </text>
      ))}
      {lines.map(({ y, seats }) => (
        <g key={y}>
          {seats.map((seat, at) => (
            <SeatShape
              key={seat.seat_id}
              seat={seat}
              isFirst={seat === first}
              isLeftHalf={Boolean(seat.pair) && seats[at + 1]?.seat_id === seat.pair}
            />
          ))}
        </g>
      ))}
      <Letters side="left" x={box.x} box={box} lines={lines} />
      <Letters side="right" x={box.x + box.width - UNIT} box={box} lines={lines} />
    </>
  );
});

interface SeatShapeProps {
  seat: Seat;
  isFirst: boolean;
  /** Whether it is the left half of a couch that is sold only whole. */
  isLeftHalf: boolean;
}

function SeatShape({ seat, isFirst, isLeftHalf }: SeatShapeProps) {
  const number = numberOf(seat);
  return (
    <g
      className="seat"
      data-seat={seat.seat_id}
      data-category={seat.category}
      transform={`translate(${seat.x * UNIT} ${seat.y * UNIT})`}
      role="checkbox"
      aria-checked="false"
      tabIndex={isFirst ? 0 : -1}
    >
      {isLeftHalf && <rect className="couch" x={UNIT / 2} y="9" width={UNIT} height="22" pointerEvents="none" />}
      <use className="body" href={bodyOf(seat.category)} />
      <rect className="hit" width={UNIT} height={UNIT} rx="7" />
      <use className="mark" pointerEvents="none" />
      <text className="number" x={UNIT / 2} y={UNIT / 2 + 5} {...squeezed(number, UNIT - 12)}>
        {number}
      </text>
    </g>
  );
}

interface LettersProps {
  side: "left" | "right";
  x: number;
  box: Box;
  lines: Row[];
}

/** The attributes of a text that is too long for its place. */
const squeezed = (text: string, width: number) =>
  text.length > 3 ? { textLength: width, lengthAdjust: "spacingAndGlyphs" } : {};

/** A column of row names above the seats. Long names are compressed. */
function Letters({ side, x, box, lines }: LettersProps) {
  return (
    <g data-letters={side} aria-hidden="true" pointerEvents="none">
      <rect className="row-column" x={x} y={box.y} width={UNIT} height={box.height} />
      {lines.map(({ row, y }) => (
        <text key={y} className="row-letter" x={x + UNIT / 2} y={(y + 0.5) * UNIT + 5} {...squeezed(row, UNIT - 6)}>
          {row}
        </text>
      ))}
    </g>
  );
}

/** The screen at its side of the auditorium, with its light on the seats. */
function Screen({ layout, box }: { layout: Layout; box: Box }) {
  const side = layout.screen ?? "top";
  const isLevel = side === "top" || side === "bottom";
  const length = (isLevel ? box.width : box.height) * 0.72;
  const middle = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  const turn = { top: 0, right: 90, bottom: 180, left: 270 }[side];
  const reach = (isLevel ? box.height : box.width) / 2;
  return (
    <g aria-hidden="true" transform={`translate(${middle.x} ${middle.y}) rotate(${turn}) translate(0 ${-reach})`}>
      <defs>
        <linearGradient id="screen-glow" x1="0" x2="0" y1="0" y2="1">
          <stop offset="0" stopColor="var(--color-edge)" stopOpacity="0.28" />
          <stop offset="1" stopColor="var(--color-edge)" stopOpacity="0" />
        </linearGradient>
      </defs>
      <path
        className="screen-glow"
        d={`M${-length / 2} 18 Q0 6 ${length / 2} 18 L${length * 0.58} 74 H${-length * 0.58}z`}
      />
      <path className="screen-line" d={`M${-length / 2} 18 Q0 6 ${length / 2} 18`} />
      <text className="screen-word" x="0" y="42" transform={side === "bottom" ? "rotate(180 0 37)" : undefined}>
        {t("map.screen")}
      </text>
    </g>
  );
}

interface TooltipProps {
  seat: Seat;
  store: SeatStore;
  prices: Prices;
  at: { x: number; y: number };
}

function Tooltip({ seat, store, prices, at }: TooltipProps) {
  const state = store.stateOf(seat.seat_id);
  const isBelow = at.y < 90;
  return (
    <div
      aria-hidden="true"
      className={`pointer-events-none absolute z-10 w-max max-w-56 -translate-x-1/2 rounded-lg bg-ink px-3 py-2 text-sm text-ground shadow-lg ${isBelow ? "" : "-translate-y-full"}`}
      style={{ left: `clamp(6rem, ${at.x}px, calc(100% - 6rem))`, top: at.y + (isBelow ? 24 : -20) }}
    >
      <b className="block">{place(seat)}</b>
      <span className="block first-letter:uppercase">{kind(seat, prices)}</span>
      {state === "held" || state === "gone" ? <span className="block">{t("seat.gone")}</span> : null}
      {seat.pair && <span className="block">{t("seat.couchNote")}</span>}
      {seat.category in NOTES && <span className="block">{t(NOTES[seat.category as keyof typeof NOTES])}</span>}
    </div>
  );
}

const NOTES = { wheelchair: "seat.wheelchairNote", companion: "seat.companionNote" } as const;

interface ControlProps {
  label: string;
  icon: "plus" | "minus" | "fit" | "wide" | "cross";
  onClick: () => void;
  isOff?: boolean;
}

function Control({ label, icon, onClick, isOff = false }: ControlProps) {
  return (
    <button
      type="button"
      aria-label={label}
      title={label}
      disabled={isOff}
      onClick={onClick}
      className="grid size-11 place-items-center rounded-full border border-line bg-paper text-ink hover:bg-raised disabled:text-edge"
    >
      <Icon name={icon} />
    </button>
  );
}
